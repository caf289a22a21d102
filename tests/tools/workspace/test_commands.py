"""The shell's observations, and the end of a run."""

from pathlib import Path

import pytest

from surefoot.tools import Observed, ToolFailed, checked_call, shell, submit
from surefoot.tools.environments import Environment, Ran
from surefoot.tools.workspace import told


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("echo out; echo err >&2", Observed("out\nerr", 0)),
        ("exit 3", Observed("[exit code 3]", 3)),
        ("true", Observed("[no output, exit code 0]", 0)),
        ("printf 'a\\n\\n'; false", Observed("a\n[exit code 1]", 1)),
        ("cat", Observed("[no output, exit code 0]", 0)),
    ],
)
async def test_output_and_exit_code_are_told(command: str, expected: Observed, world: Environment) -> None:
    assert await shell.call(shell.arguments(command=command), world) == expected


async def test_a_long_output_keeps_its_head_and_tail(world: Environment) -> None:
    text = (await shell.call(shell.arguments(command="seq 1 100000"), world)).text
    assert len(text) < 17_000
    assert text.startswith("1\n2\n3\n") and "\n99999\n100000\n[" in text
    assert "characters left out here, with " in text
    assert text.endswith(" bytes of output were left out from the middle]")


def test_what_the_environment_left_out_and_a_time_that_was_up_are_told() -> None:
    assert told(Ran("a\n", None, 1_234)).split("\n") == [
        "a",
        "[1,234 bytes of output were left out from the middle]",
        "[the time was up: the command and all that it had started were ended]",
    ]


async def test_what_the_machine_refuses_is_told(world: Environment) -> None:
    for command, sentence in (("echo \0", "no NUL character"), ("x" * 200_000, "a command ")):
        with pytest.raises(ToolFailed, match=sentence):
            await shell.call(shell.arguments(command=command), world)


async def test_submitting_ends_the_run(world: Environment, tmp_path: Path) -> None:
    assert await submit.call(checked_call(submit, '{"text": "done"}'), world) == Observed("done", None, True)


def test_what_the_tools_do_to_the_world_is_said() -> None:
    assert (shell.effect, shell.repeatable, submit.effect) == ("writes", False, "reads")

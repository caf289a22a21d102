"""A decomposed run by hand: what is asked, what is a vote, how it ends; the world is a real one."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from surefoot import BadInput, Sampling
from surefoot.agents.agent import ExitStatus
from surefoot.agents.swe import Instance, prepare_workspace
from surefoot.agents.swe.decomposed import DecomposedState, DecomposedTask, StageEnding
from surefoot.agents.swe.decomposed.state import STATES, ChangedTests, Defect, PatchTried
from surefoot.agents.tasks.guarded import guarded
from surefoot.agents.tasks.optional import Attempt
from surefoot.models.base import Ask, Message
from surefoot.models.doubles import Repair, Repairer
from surefoot.tests.agents.swe.places import Repo
from surefoot.tools.environments import Local
from surefoot.voting import Stalled
from surefoot.voting.leading import leading

COMMAND = f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest -rA -p no:cacheprovider -q"
ISSUE = "add(2, 3) is -1, and it should be 5."


def fix(line: str) -> str:
    return f"pkg/sums.py\n<<<<<<< SEARCH\n    return a - b\n=======\n    {line}\n>>>>>>> REPLACE\n"


def a_test(line: str) -> str:
    return f"```python\nfrom pkg.sums import add\n\n\ndef test_issue():\n    {line}\n```"


RIGHT_TEST, OTHER_TEST = a_test("assert add(2, 3) == 5"), a_test("assert add(1, 1) == 2")
WRONG_TEST, PASSING_TEST, RAISING_TEST = (
    a_test("assert add(2, 3) == 6"),
    a_test("assert add(0, 0) == 0"),
    a_test("add(1)"),
)


def instance(commit: str, issue: str = ISSUE) -> Instance:
    return Instance(
        instance_id="a__sums-1",
        repo="a/sums",
        base_commit=commit,
        problem_statement=issue,
        fail_to_pass=("tests/test_hidden.py::test_secret",),
        pass_to_pass=("tests/test_hidden.py::test_other_secret",),
        patch="the secret patch",
        test_patch="the secret tests",
        test_command="pytest tests/test_hidden.py",
    )


@pytest.fixture
async def world(repo: Repo, tmp_path: Path) -> AsyncIterator[Local]:
    await prepare_workspace(repo.path, repo.base, tmp_path / "workspace")
    place = Local(tmp_path / "workspace", trusted=True)
    await place.start()
    yield place
    await place.stop()


def answers(tests: list[str], patches: list[str]) -> Callable[[DecomposedState], str]:
    def say(state: DecomposedState) -> str:
        match state.stage:
            case "files":
                return "```files\npkg/sums.py\n```"
            case "places":
                return "```places\npkg/sums.py::add\n```"
            case "reproduce":
                return tests[len(state.tests) % len(tests)]
            case _:
                return patches[len(state.patches) % len(patches)]

    return say


async def by_hand(
    task: DecomposedTask,
    say: Callable[[DecomposedState], str],
    until: Callable[[DecomposedState], bool] | None = None,
) -> DecomposedState:
    """Go through the steps as the engine does, the task guarded as it guards it."""
    held = guarded(task)
    state = held.start()
    while not held.finished(state) and not (until and until(state)):
        if task.acts(state):
            answer = await held.act(state, Attempt(0))  # type: ignore[attr-defined]
        else:
            answer = held.read(say(state), state)
        state = STATES.decode(STATES.encode(held.advance(state, answer)))
    return state


def run_of(world: Local, repo: Repo, votes: int = 2, candidates: int = 12) -> DecomposedTask:
    return DecomposedTask(
        instance(repo.base), world=world, votes=votes, candidates=candidates, test_command=COMMAND
    )


async def test_the_patch_that_fixes_more_and_is_smaller_wins(world: Local, repo: Repo) -> None:
    longer = fix("c = a + b\n    return c")
    tests = [PASSING_TEST, RIGHT_TEST, RAISING_TEST, WRONG_TEST, OTHER_TEST]
    patches = [
        fix("return 6"),
        longer,
        fix("return a * b"),
        "x.py\n<<<<<<< SEARCH\nx\n=======\ny\n>>>>>>> REPLACE",
        fix("return a + b"),
    ]
    state = await by_hand(run_of(world, repo), answers(tests, patches))
    assert [
        (test.failure.kind if test.failure else test.why.partition(" before")[0]) for test in state.tests
    ] == [
        "it passes",
        "AssertionError",
        "TypeError",
        "AssertionError",
        "AssertionError",
    ]
    # Three that fail by an assertion, a wrong one among them, against one that cannot call the function.
    assert len(state.reproducing) == 3
    assert [patch.change and patch.change.fixed for patch in state.patches] == [
        None,
        ("test_issue 1", "test_issue 3"),
        ("test_issue 2",),  # what the wrong test wants: a vote for something else
        None,
        ("test_issue 1", "test_issue 3"),
        None,
        ("test_issue 1", "test_issue 3"),
    ]
    assert "breaks tests/test_sums.py::test_zero" in state.patches[0].why and "x.py" in state.patches[3].why
    assert state.ended == "submitted" and state.winner == state.patches[4]
    assert (await world.diff()).decode().count("\n+") == 2 and "return a + b" in (await world.diff()).decode()


async def test_without_agreement_no_plurality_wins_and_the_workspace_is_as_it_was(
    world: Local, repo: Repo
) -> None:
    state = await by_hand(run_of(world, repo, 3, 5), answers([RIGHT_TEST, RAISING_TEST], [""]))
    assert (state.ended, len(state.tests), state.winner) == ("undecided", 4, None)
    assert state.result.startswith("reproduce: no ballot got far enough ahead")
    assert await world.diff() == b""
    state = await by_hand(
        run_of(world, repo, 2, 3), answers([RIGHT_TEST, OTHER_TEST], [fix("return 5"), fix("return 9")])
    )
    assert (state.ended, len(state.patches)) == ("undecided", 2), state.result
    assert state.result.startswith("patch: ") and "no test that shows the issue passes" in state.result
    assert await world.diff() == b""


async def test_a_test_that_shows_nothing_is_no_ballot(world: Local, repo: Repo) -> None:
    state = await by_hand(
        run_of(world, repo, 1, 3),
        answers([PASSING_TEST, a_test("import nothing_at_all"), RIGHT_TEST], [fix("return a + b")]),
    )
    assert (state.ended, len(state.tests)) == ("undecided", 2)
    # An import inside the test is a failure like any other: what the issue asks for may not be there yet.
    assert state.tests[1].failure == Defect("ModuleNotFoundError", "")


async def test_a_patch_that_does_something_else_once_more_is_not_submitted(world: Local, repo: Repo) -> None:
    """One that works until a file outside of the workspace says that it has worked."""
    mark = Path(world.workspace).parent / "mark"
    flaky = fix(
        f"import pathlib\n    m = pathlib.Path({str(mark)!r})\n    n = len(m.read_text()) if m.exists() else 0\n    a and m.write_text('x' * (n + 1))\n    return a + b if n < 2 else a - b"
    )
    state = await by_hand(
        run_of(world, repo, 1), answers([RIGHT_TEST], [flaky]), lambda state: state.stage == "verify"
    )
    mark.write_text("xxxx")
    tried = await run_of(world, repo, 1).act(state, Attempt(0))
    assert isinstance(tried, PatchTried) and tried.change is None
    state = run_of(world, repo, 1).advance(state, tried)
    assert (state.ended, run_of(world, repo, 1).solved(state)) == ("unverified", False)
    assert state.result.startswith("verify: ") and await world.diff() == b""


async def test_acts_that_are_interrupted_are_made_again(world: Local, repo: Repo) -> None:
    task = run_of(world, repo, 1)
    say = answers([RIGHT_TEST], [fix("return a + b")])
    state, delays = task.start(), [0.01, 0.03, 0.1, 0.2, 0.4, 0.8, 1.6]
    while not task.finished(state):
        if not task.acts(state):
            state = task.advance(state, task.read(say(state), state))
            continue
        acting = asyncio.create_task(task.act(state, Attempt(0)))
        await asyncio.wait([acting], timeout=delays.pop(0))
        acting.cancel()
        await asyncio.wait([acting])
        if state.stage != "survey":
            (Path(world.workspace) / "pkg/sums.py").write_text("half of a patch\n")
        state = task.advance(state, await task.act(state, Attempt(0, again=True)))
    assert (state.ended, len(state.tests), len(state.patches), len(delays)) == ("submitted", 1, 1, 0)
    assert "+    return a + b\n" in (await world.diff()).decode()


async def test_a_run_is_taken_up_in_a_workspace_that_was_prepared_anew(
    world: Local, repo: Repo, tmp_path: Path
) -> None:
    say = answers([RIGHT_TEST], [fix("return a + b")])
    state = await by_hand(run_of(world, repo, 1), say, lambda state: state.stage == "verify")
    ended = await by_hand(run_of(world, repo, 1), say)
    await prepare_workspace(repo.path, repo.base, tmp_path / "anew")
    anew = Local(tmp_path / "anew", trusted=True)
    await anew.start()
    task = run_of(anew, repo, 1)
    assert task.advance(state, await task.act(state, Attempt(0))).ended == "submitted"
    patch = await anew.diff()
    (tmp_path / "anew/pkg/sums.py").write_text("something else\n")
    await task.settle(state)
    assert await anew.diff() == b""
    await task.settle(ended)
    assert await anew.diff() == patch == await world.diff() != b""
    await anew.stop()


async def test_a_workspace_that_is_lost_ends_the_run(world: Local, repo: Repo) -> None:
    task = run_of(world, repo, 1)
    state = await by_hand(task, answers([RIGHT_TEST], [""]), lambda state: state.stage == "baseline")
    assert (await world.execute("rm -rf .git")).code == 0
    state = task.advance(state, await task.act(state, Attempt(0)))
    assert state.ended == "lost_workspace" and "no .git" in state.result


async def test_the_hidden_tests_are_never_asked_about(world: Local, repo: Repo) -> None:
    asked: list[str] = []
    task = run_of(world, repo, 1)

    def say(state: DecomposedState) -> str:
        prompt = task.ask(state)
        assert not isinstance(prompt, str)
        asked.append("".join(message.content for message in prompt))
        return answers([RIGHT_TEST], [fix("return a + b")])(state)

    state = await by_hand(task, say)
    assert len(asked) == 4 == state.turn and all(ISSUE in prompt for prompt in asked)
    for text in (*asked, STATES.encode(state), str(task.spec())):
        assert "secret" not in text and "test_hidden" not in text
    # All stages begin alike, and candidates of a stage are asked alike.
    assert len({prompt.partition(ISSUE)[0] for prompt in asked}) == 1


async def test_other_files_and_new_ones_are_told_of(world: Local, repo: Repo) -> None:
    task = run_of(world, repo, 1)

    def say(state: DecomposedState) -> str:
        if state.stage == "files":
            return "```files\npkg/new.py\ncrlf.txt\nlatin.txt\nalias.py\n```"
        return "```places\npkg/new.py\nalias.py::add\n```"

    state = await by_hand(task, say, lambda state: state.stage == "baseline")
    found = {source.path: source for source in state.sources}
    assert found["crlf.txt"].text == "x\ny\n" and found["latin.txt"].text == "caf\ufffd\n"
    assert not found["pkg/new.py"].there and found["alias.py"].definitions[0].name == "add"
    prompt = task.ask(DecomposedState(stage="patch", sources=state.sources, places=state.places))
    assert "pkg/new.py does not exist yet" in str(prompt) and "alias.py::add, pkg/new.py" in str(prompt)


def test_candidates_are_never_drawn_at_temperature_0(repo: Repo) -> None:
    world = Local(repo.path, trusted=True)
    task = DecomposedTask(
        instance(repo.base), world=world, sampling=Sampling(temperature=0.5, first_temperature=0.0)
    )
    assert task.sampling.temperature_of(0) == 0.5
    assert DecomposedTask(instance(repo.base), world=world).sampling.temperature_of(0) > 0
    with pytest.raises(BadInput, match="temperature 0"):
        DecomposedTask(instance(repo.base), world=world, sampling=Sampling(temperature=0.0))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"votes": 0}, "votes"),
        ({"votes": True}, "votes"),
        ({"votes": 51}, "votes"),
        ({"votes": 3, "candidates": 2}, "candidates"),
        ({"candidates": 101}, "candidates"),
        ({"window": 7_000}, "window"),
    ],
)
def test_what_cannot_be_is_refused(repo: Repo, options: dict[str, int], word: str) -> None:
    with pytest.raises(BadInput, match=word):
        DecomposedTask(instance(repo.base), world=Local(repo.path, trusted=True), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("issue", ["x" * 1_000_000, "\n" * 1_000_000])
def test_a_long_issue_is_cut(repo: Repo, issue: str) -> None:
    task = DecomposedTask(instance(repo.base, issue), world=Local(repo.path, trusted=True))
    prompt = task.ask(DecomposedState(stage="files"))
    assert (
        isinstance(prompt[0], Message)
        and sum(len(message.content) for message in prompt if isinstance(message, Message)) < 40_000
    )


def test_every_ending_is_an_exit_status() -> None:
    from typing import get_args

    endings = set(get_args(StageEnding)) - {""}
    assert endings <= set(ExitStatus) and {word for word in endings if ExitStatus(word).resumable} == {
        "lost_workspace"
    }


A, B = ChangedTests(("a",)), ChangedTests(("b",))


@pytest.mark.parametrize(
    ("done", "votes", "winner"),
    [
        ([], 1, None),
        ([A], 1, A),
        ([None, A], 1, A),
        ([A], 2, None),
        ([A, B, A], 2, None),
        ([A, B, A, A], 2, A),
        ([A, None, None, A], 2, A),
        ([B, B, A, A, A], 2, B),
    ],
)
def test_the_first_to_be_ahead_wins(
    done: list[ChangedTests | None], votes: int, winner: ChangedTests | None
) -> None:
    assert leading(done, votes, 12) == winner


@pytest.mark.parametrize("done", [[None] * 4, [A, B, A, B], [A, B, None], [None, None, None]])
def test_candidates_that_cannot_decide_any_more_stall(done: list[ChangedTests | None]) -> None:
    with pytest.raises(Stalled):
        leading(done, 2, 4)


def test_a_double_can_be_asked_by_hand(repo: Repo) -> None:
    task = DecomposedTask(instance(repo.base), world=Local(repo.path, trusted=True))
    known = Repair(ISSUE, ("pkg/sums.py",), ("x\n",), fix("return a + b"), ("y\n",), ("z\n",))
    sample = Repairer([known]).draw(Ask(task.ask(DecomposedState(stage="reproduce")), 0.7, 100, 0))
    assert sample.text.startswith("```python\nx\n")

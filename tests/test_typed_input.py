"""What is not of its type is refused in one sentence, before anything is written or opened."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import surefoot
from surefoot import BadInput, Budget, Options, Price, Sampling, Settings
from surefoot.models.doubles import Double
from surefoot.orchestration.engine.speculation import Speculation

TASK = surefoot.Towers(disks=2, style="compact")
K1 = Settings(k=1)


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        *((Settings, {"k": k}, f"k of Settings must be of type int | None, not {k!r}") for k in (2.5, 3.0, True, "3")),
        (Settings, {"seed": "a"}, "seed of Settings must be of type int, not 'a'"),
        (Settings, {"segment": 1.5}, "not 1.5"),
        (Settings, {"limit": "9"}, "not '9'"),
        (Settings, {"limit": None}, "not None"),
        (Settings, {"reliability": "0.9"}, "type float, not '0.9'"),
        (Settings, {"sampling": {"max_tokens": 5}}, "type Sampling | None, not a value of type dict"),
        (Sampling, {"max_tokens": 1.5}, "max_tokens of Sampling"),
        (Sampling, {"temperature": "1"}, "temperature of Sampling"),
        (Budget, {"steps": 1.5}, "steps of Budget"),
        (Budget, {"cost": 1, "price": 5}, "price of Budget must be of type Price | None, not 5"),
        (Price, {"input_per_mtok": 1, "output_per_mtok": "2"}, "output_per_mtok of Price"),
        (Speculation, {"draft": 5}, "draft of Speculation must be of type Draft[Any] | str | None, not 5"),
        (Speculation, {"depth": True}, "depth of Speculation"),
        (Options, {"stop": "\n"}, r"type tuple[str, ...], not '\n'"),
        (Options, {"stop": (5,)}, "type tuple[str, ...], not a value of type tuple"),
        (Options, {"chat_limit": "most"}, "chat_limit of Options"),
        (Options, {"on_wait": 5}, "type Callable[[Wait], None] | None, not 5"),
        (Options, {"api_key": b"secret"}, "not a value of type bytes"),
    ],
)  # fmt: skip
def test_a_field_of_another_type_is_refused(kind: Callable[..., Any], given: Any, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        kind(**given)
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_whole_number_is_a_float_too() -> None:
    assert Sampling(temperature=1, first_temperature=None).temperature == 1


class Nameless(Double):
    """A model whose name is no text."""

    name = 5  # type: ignore[assignment]


class Awaited(Double):
    """A model whose `sample` is to be awaited."""

    async def sample(self, asks: Any) -> Any:
        return []


async def listen(event: Any) -> None: ...


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"settings": {"k": 1}}, "settings of run must be of type Settings, not a value of type dict"),
        ({"speculate": "recall"}, "speculate of run must be of type Speculation | None, not 'recall'"),
        ({"budget": 5}, "budget of run"),
        ({"options": {"api_key": "secret"}}, "options of run must be of type Options | None, not a value of type dict"),
        ({"job": 5}, "job of run"),
        ({"redis": 5}, "redis of run"),
        ({"model": None}, "model of run must be of type str | Model, not None"),
        ({"model": len}, "model of run"),
        ({"model": Double}, "it is the class Double"),
        ({"model": Nameless(str, str)}, "its name is 5"),
        ({"model": Awaited(str, str)}, "no async generator function"),
        ({"task": surefoot.Towers}, "task of run must be of type Task[S, A], not the class Towers"),
        ({"task": object()}, "task of run"),
        ({"on_event": 5}, "on_event of run"),
        ({"on_event": listen}, "on_event is called and never awaited"),
    ],
)  # fmt: skip
async def test_run_refuses_what_is_of_another_type_before_it_opens_a_redis(
    given: Any, said: str, tmp_path: Path
) -> None:
    given = {"task": TASK, "settings": K1, "redis": f"unix://{tmp_path}/nobody", **given}
    with pytest.raises(BadInput) as refused:
        await surefoot.run(**given)
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [{"limit": "9"}, {"limit": 0}, {"limit": -1}, {"model": Double}, {"task": int}, {"on_event": listen}],
)
async def test_so_does_resume(given: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        await surefoot.resume("job", redis=f"unix://{tmp_path}/nobody", **given)


async def test_so_do_report_and_jobs() -> None:
    with pytest.raises(BadInput, match="job of report must be of type str, not 5"):
        await surefoot.report(5)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="redis of jobs must be of type str"):
        await surefoot.jobs(redis=5)  # type: ignore[arg-type]


@surefoot.tool(effect="reads")
async def look() -> str:
    """Look around."""
    return ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": None}, "model of Agent must be of type str | Model, not None"),
        ({"tools": 5}, "tools of Agent must be of type Sequence[Tool], not 5"),
        ({"tools": "ls"}, "'l' is no tool"),
        ({"tools": [len]}, "<built-in function len> is no tool: write `@surefoot.tool` above a function"),
        ({"tools": [type(look)]}, "is no tool"),
        ({"tools": [look, look]}, "two tools have one name"),
        ({"votes": 0}, "votes for 'irreversible' are a whole number from 1 to 50 or 'person', not 0"),
        ({"votes": True}, "votes of Agent"),
        ({"votes": "person"}, "votes of Agent must be of type int | Mapping"),
        ({"votes": {"fly": 2}}, "votes for 'fly': there is no such tool or effect"),
        ({"window": "32k"}, "window of Agent must be of type int | None, not '32k'"),
        ({"window": -5}, "a window of -5 tokens is too small"),
        ({"budget": 5}, "budget of Agent must be of type Budget | None, not 5"),
        ({"monitor": True}, "monitor of Agent"),
        ({"instructions": None}, "instructions of Agent"),
    ],
)
def test_an_agent_refuses_what_cannot_be_when_it_is_made(given: Any, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        surefoot.Agent(**{"model": "pebble", "tools": [look], **given})
    assert said in str(refused.value)


@pytest.mark.parametrize("given", [{"k": "3"}, {"k": 2.5}, {"k": True}, {"k": 3, "limit": "9"}])
def test_voted_refuses_what_is_no_whole_number(given: Any) -> None:
    with pytest.raises(BadInput, match="of voted must be of type int, not"):
        surefoot.voted(**given)


def test_voted_refuses_a_function_that_cannot_be_awaited_where_it_is_written() -> None:
    def capital(country: str) -> str:
        return "Paris"

    async def asked(country: str) -> str:
        return "Paris"

    with pytest.raises(BadInput, match="capital cannot be awaited"):
        surefoot.voted(k=1)(capital)  # type: ignore[arg-type]
    assert surefoot.voted(k=1)(partial(asked, "France"))

from collections.abc import Mapping
from typing import Any

import pytest

import surefoot
from surefoot import Columns, TaskFailed, Towers
from surefoot.agents.tasks import (
    Acts,
    AsksAhead,
    Calibrates,
    Guesses,
    Offers,
    Recurs,
    Shortens,
    Stakes,
)
from surefoot.agents.tasks.guarded import guarded
from surefoot.agents.tasks.task import Task, Value, sampling_for
from surefoot.models.base import Prompt, Sampling
from surefoot.voting import PAPER, TooLong


class Countdown(Task[int, int]):
    """No more than a task must have."""

    name = "countdown"

    def spec(self) -> Mapping[str, Value]:
        return {}

    def start(self) -> int:
        return 3

    def ask(self, state: int, view: int = 0) -> Prompt:
        return f"What comes after {state}?"

    def read(self, text: str, state: int, view: int = 0) -> int:
        return int(text)

    def advance(self, state: int, answer: int) -> int:
        return answer

    def finished(self, state: int) -> bool:
        return state == 0


PROTOCOLS = (Acts, AsksAhead, Calibrates, Guesses, Offers, Recurs, Shortens, Stakes)


def test_a_task_does_what_it_has_the_methods_for_and_so_does_the_engine_s_view_of_it() -> None:
    for task, does in ((Countdown(), ()), (Columns((12, 34)), (Calibrates, Guesses)),
                       (Towers(3), (AsksAhead, Calibrates, Guesses, Recurs, Shortens))):  # fmt: skip
        assert tuple(each for each in PROTOCOLS if isinstance(task, each)) == does
        view = guarded(task)
        for each in (Acts, Calibrates, Guesses):
            assert isinstance(view, each) == (each in does)


def method(self: object, *given: object) -> None: ...


async def old_act(self: object, state: int) -> int:
    return state


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"act": method}, "`act`: there is no `acts` to it; write both or neither"),
        ({"acts": method}, "`acts`: there is no `act` to it"),
        ({"acts": method, "act": None}, "`acts`: there is no `act` to it"),
        ({"gist": method}, "`gist`: there is no `unfold` to it"),
        ({"unfold": method, "gists": method}, "`unfold`: there is no `gist` to it"),
        ({"ask_ahead": method}, "`ask_ahead`: there is no `read_ahead` to it"),
        ({"read_ahead": method}, "`read_ahead`: there is no `ask_ahead` to it"),
        ({"acts": True, "act": method}, "`acts`: it is True; write it as a method"),
        ({"acts": method, "act": method}, "`act`: it cannot be awaited; write it as `async def`"),
        ({"acts": method, "act": old_act}, "`act`: it cannot be called with a state and an attempt; write it as `async def act(self, state, attempt)`"),
        ({"gues": method}, "`gues`: it may be meant for `guess`, and is not found by that name; call it that, or `_gues` if"),
        ({"cases": method}, "`cases`: it may be meant for `case`"),
        ({"shorten": method}, "`shorten`: it may be meant for `short`"),
        ({"geuss": method}, "`geuss`: it may be meant for `guess`"),
        ({"solve": lambda self, state: False}, "`solve`: it may be meant for `solved`"),
        ({"step": lambda self: 5}, "`step`: it may be meant for `steps`"),
        ({"audits": lambda self, state, answer: None}, "`audits`: it may be meant for `audit`"),
        ({"shows": lambda self, answer: ""}, "`shows`: it may be meant for `show`"),
        ({"view": 3}, "`view`: it may be meant for `views`"),
        ({"flag": PAPER | TooLong(5)}, "`flag`: it may be meant for `flags`"),
        ({"asks": lambda self, state, view=0: ""}, "`asks`: it may be meant for `ask`"),
    ],
)  # fmt: skip
async def test_half_of_what_is_optional_or_a_slip_in_its_name_is_refused_before_anything_is_opened(
    members: dict[str, Any], said: str
) -> None:
    task = type("Odd", (Countdown,), members)()
    for work in (surefoot.run(task, model="http://127.0.0.1:1/v1", redis="unix:///nowhere"),
                 surefoot.plan(task, model="http://127.0.0.1:1/v1")):  # fmt: skip
        with pytest.raises(TaskFailed) as refused:
            await work
        assert f"task 'countdown' failed in {said}" in str(refused.value)


def test_who_derives_from_a_protocol_is_held_to_it_by_python() -> None:
    class Errand(Countdown, Acts[int, int]):
        def acts(self, state: int) -> bool:
            return True

    with pytest.raises(TypeError, match="act"):
        Errand()  # type: ignore[abstract]


def test_names_that_are_only_a_little_alike_are_the_task_s_own() -> None:
    names = ("action", "actor", "cast_out", "guesses_", "history", "step", "_case", "_act")
    guarded(type("Busy", (Countdown,), dict.fromkeys(names, method) | {"base": 10})())
    steps = {
        "step": lambda self: 1,
        "steps": lambda self: 3,
        "solve": lambda self: (),
        "view": "plan",
        "flag": 3,
    }
    guarded(type("Helped", (Countdown,), steps)())


def test_what_is_set_to_none_is_not_there() -> None:
    quiet = type("Quiet", (Towers,), {"guess": None, "short": None})(3)
    assert not isinstance(quiet, Guesses | Shortens)
    assert not isinstance(guarded(quiet), Guesses)


class Brief(Countdown):
    """A task whose answers may have five tokens."""

    flags = PAPER | TooLong(5)


@pytest.mark.parametrize(
    ("task", "given", "drawn"),
    [
        (Countdown(), None, Sampling()),
        (Countdown(), Sampling(0.7, None, 2000), Sampling(0.7, None, 2000)),
        (Brief(), None, Sampling(max_tokens=5)),
        (Brief(), Sampling(0.7, None, 2000), Sampling(0.7, None, 5)),
        (Brief(), Sampling(0.7, None, 4), Sampling(0.7, None, 4)),
    ],
    ids=["the task's own", "the user's", "capped", "the user's, capped", "shorter than it may be"],
)
def test_no_sample_is_drawn_longer_than_the_flags_of_its_task_let_pass(
    task: Countdown, given: Sampling | None, drawn: Sampling
) -> None:
    assert sampling_for(task, given) == drawn
    assert sampling_for(task, drawn) == drawn

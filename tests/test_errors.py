"""Every error of ours can be copied and sent to another process: a pool that cannot read an error breaks, or waits for ever (U2)."""

import copy
import importlib
import inspect
import multiprocessing
import pickle
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, TypeVar

import pytest

import surefoot
from surefoot import SurefootError, errors
from surefoot.models.openai.answer_cache import AnswerFromCache
from surefoot.models.openai.failures import RequestRefused
from surefoot.models.openai.probe import ServerLacks
from surefoot.orchestration.engine.open_step import StepStalled
from surefoot.voting import Sample, Stalled

E = TypeVar("E", bound=Exception)
STALLED = Stalled({"a": 2, ("b", None): 1}, {"malformed": 3}, (Sample("text", "stop"),))
MADE: dict[type[SurefootError], SurefootError] = {
    Stalled: STALLED,
    StepStalled: StepStalled(7, STALLED, STALLED.examples),
    RequestRefused: RequestRefused("no", 402),
    ServerLacks: ServerLacks("no", 404),
    AnswerFromCache: AnswerFromCache("a server", "a sign"),
}
"""Some that are not made from a sentence alone."""


def modules() -> Iterator[str]:
    for module in pkgutil.walk_packages(surefoot.__path__, "surefoot."):
        if not module.name.endswith(("__main__", ".worker")) and not module.name.startswith(
            ("surefoot.tests", "surefoot.bench", "surefoot.build", "surefoot.examples")
        ):
            yield module.name


def tree(kind: type[E]) -> Iterator[type[E]]:
    yield kind
    for below in kind.__subclasses__():
        yield from tree(below)


def kinds() -> list[type[SurefootError]]:
    for name in modules():
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:  # an extra that is not installed
            assert not (error.name or "").startswith("surefoot"), name
    return sorted(
        {kind for kind in tree(SurefootError) if kind.__module__.startswith("surefoot.")},
        key=lambda kind: str(kind),
    )


def example(kind: type[SurefootError]) -> SurefootError:
    """One that was made, or one as its making leaves it: with a sentence, and with what the class hangs on it."""
    error = MADE.get(kind)
    if error is None:
        error = kind.__new__(kind, "what happened, and what to do next")
        error.__dict__.update(step=7, tally={("a", None): 1})
    error.add_note("said on the way")
    return error


def same(one: SurefootError, other: Any) -> bool:
    return (type(one), one.args, vars(one)) == (type(other), other.args, vars(other))


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_u2_every_error_survives_pickle_and_copy(kind: type[SurefootError]) -> None:
    error = example(kind)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert same(error, pickle.loads(pickle.dumps(error, protocol)))
    assert same(error, copy.copy(error))
    assert same(error, copy.deepcopy(error))


def test_u2_the_tree_was_walked() -> None:
    found = kinds()
    assert len(found) > 25
    assert {Stalled, StepStalled, surefoot.ModelUnavailable, surefoot.BadInput} <= set(found)
    assert inspect.isclass(found[0])


def test_the_docstring_draws_the_tree_that_exists() -> None:
    """One line a class: indented under its parent, with the room that defines it, and when it is raised."""
    drawn: set[tuple[str, str, str]] = set()
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.fullmatch(r"    (?P<indent> *)(?P<name>[A-Z]\w+) +(?P<room>[a-z_.]+)  +\S.*", line):
            path[len(found["indent"]) // 4 :] = [found["name"]]
            drawn.add((path[-2] if path[1:] else "", found["name"], found["room"]))
    exist = {(base_of(kind), kind.__name__, room_of(kind)) for kind in kinds()}
    assert drawn == exist
    faces = [(importlib.import_module(f"surefoot.{room}"), name) for _, name, room in drawn]
    assert [name for face, name in faces if not hasattr(face, name)] == []


def base_of(kind: type[SurefootError]) -> str:
    return "" if kind is SurefootError else kind.__bases__[0].__name__


def room_of(kind: type[SurefootError]) -> str:
    _, *rooms, module = kind.__module__.split(".")
    return ".".join(rooms) or module


def test_two_exceptions_never_share_a_name() -> None:
    kinds()
    names = Counter(kind.__name__ for kind in set(tree(Exception)) if kind.__module__.startswith("surefoot."))
    assert [name for name, times in names.items() if times > 1] == []


def test_u2_a_stall_keeps_its_tally_flags_and_examples() -> None:
    stall = pickle.loads(pickle.dumps(MADE[StepStalled]))
    assert (stall.step, stall.tally, stall.flags, stall.examples) == (
        7,
        {"a": 2, ("b", None): 1},
        {"malformed": 3},
        (Sample("text", "stop"),),
    )
    assert str(stall).startswith("step 7 stalled: no ballot got far enough ahead in 6 samples")


def test_u2_an_error_whose_class_takes_what_it_likes_is_made_again() -> None:
    again = copy.deepcopy(Odd(402, words="no credit"))
    assert (str(again), again.code) == ("402: no credit", 402)


class Odd(SurefootError):
    def __init__(self, code: int, *, words: str) -> None:
        super().__init__(f"{code}: {words}")
        self.code = code


def test_u2_a_pool_of_processes_hands_a_stall_over_and_goes_on() -> None:
    """`election` raises it there; before, the pool was broken by what it could not read."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        undecided = surefoot.voting.Election(surefoot.voting.FirstToAheadBy(2), limit=3)
        with pytest.raises(Stalled, match="no valid ballot"):
            pool.submit(undecided.verdict).result(60)
        assert pool.submit(partial(max, 1, 2)).result(60) == 2

import asyncio
import gc
import importlib
import multiprocessing
import os
import pickle
import signal
import sys
from argparse import Namespace
from contextlib import aclosing, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import surefoot
from surefoot import BadInput, ModelUnavailable, Options, Settings, Towers
from surefoot.models.connect import open_model
from surefoot.models.doubles import Garbage, towers_double
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.keys import VARIABLES
from surefoot.orchestration.engine.drafts import Rollout
from surefoot.orchestration.engine.rollout_process import CREDITS, OpenModel, RolloutProcess
from surefoot.voting.samples import NOTHING

TASK = Towers(6, "compact", "move")
SLOPPY = towers_double(error=0.02, seed=3)
K3 = Settings(k=3)


def asking(server: DoubleServer) -> OpenModel:
    """How the process opens the model: pytest's modules cannot be imported there, the package can."""
    return partial(open_model, server.url, options=Options(seeded=True))


async def states(draft: Rollout[Any] | RolloutProcess[Any], state: Any, most: int = 10_000) -> list[Any]:
    found = []
    async with aclosing(draft.propose([state])) as rolled:
        async for after in rolled:
            found.append(after)
            if len(found) == most:
                break
    return found


def children() -> int:
    return len(multiprocessing.active_children())


async def test_it_proposes_what_a_rollout_in_this_process_does_from_wherever_it_is_told_to_begin() -> None:
    here: Rollout[Any] = Rollout(TASK, SLOPPY)
    before = children()
    async with DoubleServer(SLOPPY) as server, RolloutProcess(TASK, asking(server)) as draft:
        assert children() == before + 1
        for first in (TASK.start(), *(await states(here, TASK.start(), 5))):
            assert await states(draft, first) == await states(here, first)
    assert children() == before


async def test_it_counts_what_was_spent_there_as_a_rollout_in_this_process_does() -> None:
    async with DoubleServer(SLOPPY) as server, asking(server)() as model:
        here: Rollout[Any] = Rollout(TASK, model, votes=3)
        async with RolloutProcess(TASK, asking(server), votes=3) as draft:
            assert draft.spent == NOTHING
            for first in (TASK.start(), *(await states(here, TASK.start(), 2))[1:]):
                here.spent, before = NOTHING, draft.spent
                await states(here, first)
                await states(draft, first)
                assert here.spent.total > 100
                assert draft.spent == before + here.spent
        assert draft.spent.total > 100, "still known when it is closed"


async def test_a_roll_that_is_left_has_spent_what_was_drawn_for_it_there() -> None:
    async with DoubleServer(SLOPPY) as server, RolloutProcess(TASK, asking(server)) as draft:
        await states(draft, TASK.start())
        whole = draft.spent
        async with aclosing(draft.propose([TASK.start()])) as rolled:
            await anext(rolled)
        await states(draft, TASK.start())
        assert draft.spent.total > 2 * whole.total


async def test_a_roll_that_is_left_in_its_middle_does_not_get_into_the_next_one() -> None:
    async with DoubleServer(SLOPPY) as server, RolloutProcess(TASK, asking(server)) as draft:
        whole = await states(draft, TASK.start())
        for most in (1, 2, 3, 1):
            assert await states(draft, TASK.start(), most) == whole[:most]
        assert await states(draft, TASK.start()) == whole


async def test_it_goes_no_further_ahead_of_the_reader_than_there_is_room() -> None:
    task = Towers(10, "compact", "move")
    async with DoubleServer(towers_double()) as server, RolloutProcess(task, asking(server)) as draft:
        asked = server.stats.samples
        async with aclosing(draft.propose([task.start()])) as rolled:
            await anext(rolled)
            while server.stats.samples - asked < CREDITS:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            assert server.stats.samples - asked <= CREDITS + 1
            assert len([await anext(rolled) for _ in range(3 * CREDITS)]) == 3 * CREDITS


async def test_a_model_that_knows_nothing_proposes_nothing() -> None:
    async with DoubleServer(Garbage()) as server, RolloutProcess(TASK, asking(server)) as draft:
        assert await states(draft, TASK.start()) == []


async def test_no_key_is_in_its_environment_and_one_that_is_given_comes_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with DoubleServer(SLOPPY, api_key="hush-hush-hush") as server:
        for name in VARIABLES:
            monkeypatch.setenv(name, "hush-hush-hush")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        with pytest.raises(ModelUnavailable, match="does not accept a request without an API key"):
            async with RolloutProcess(TASK, partial(open_model, "openai")):
                raise AssertionError("it was opened")
        given = partial(open_model, "openai", options=Options(api_key="hush-hush-hush"))
        async with RolloutProcess(TASK, given) as draft:
            assert len(await states(draft, TASK.start(), 3)) == 3
    assert all(os.environ[name] == "hush-hush-hush" for name in VARIABLES), "here they stay"


async def test_a_model_that_cannot_be_opened_is_told_of_at_once() -> None:
    before = children()
    with pytest.raises(BadInput, match="not 'pebbel'"):
        async with RolloutProcess(TASK, partial(open_model, "pebbel")):
            raise AssertionError("it was opened")
    assert children() == before


async def test_it_ends_what_it_has_begun_when_it_is_cancelled_while_it_opens() -> None:
    """At any moment: before the process is there, while it imports, while the model is opened."""
    before, descriptors = children(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - numbers, no paths
    for patience in (0.0, 0.001, 0.05, 0.3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(patience), RolloutProcess(TASK, partial(open_model, "pebble-numpy")):
                await asyncio.sleep(60)
        assert children() == before
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 3, "at most what multiprocessing itself keeps"  # noqa: PTH208


async def test_a_process_that_cannot_even_begin_leaves_nothing_open() -> None:
    draft: RolloutProcess[Any] = RolloutProcess(TASK, lambda: nullcontext(SLOPPY))
    with pytest.raises((AttributeError, pickle.PicklingError)):
        async with draft:
            raise AssertionError("it was opened")
    assert draft._pipe.closed and draft._theirs.closed


async def test_what_the_model_raises_comes_over() -> None:
    lacking = DoubleServer(towers_double(), without={"completions"})
    async with lacking as server, RolloutProcess(TASK, asking(server)) as draft:
        with pytest.raises(ModelUnavailable, match="completions"):
            await states(draft, TASK.start())


async def test_what_it_raises_against_all_rules_is_known_here_too() -> None:
    async with RolloutProcess(TASK, partial(nullcontext, Namespace(name="broken"))) as draft:
        with pytest.raises(ModelUnavailable, match=r"failed in its process \(AttributeError.*sample"):
            await states(draft, TASK.start())


class Unreadable:
    """Can be sent, and not be read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number",)


async def test_a_state_that_cannot_be_read_there_ends_the_rollout_alone() -> None:
    async with DoubleServer(towers_double()) as server, RolloutProcess(TASK, asking(server)) as draft:
        with pytest.raises(ModelUnavailable, match=r"failed in its process \(ValueError"):
            await states(draft, Unreadable())
        assert await states(draft, TASK.start(), most=3)


ODD_MODELS = """
import asyncio, os
from contextlib import asynccontextmanager
from surefoot import Sample, SurefootError

class TwoArguments(SurefootError):
    def __init__(self, code, words):
        super().__init__(f"{code}: {words}")
        self.code = code

class Foreign(Exception):
    def __init__(self, code, words):
        super().__init__(f"{code}: {words}")

class Unpicklable(Exception):
    def __init__(self, words):
        super().__init__(words)
        self.callback = lambda: words

class Unspeakable(Exception):
    def __repr__(self):
        raise ValueError("no words")

def local():
    class Local(SurefootError):
        pass
    return Local("out of credit")

FAILURES = {
    "two arguments": lambda: TwoArguments(402, "out of credit"),
    "foreign": lambda: Foreign(402, "out of credit"),
    "unpicklable": lambda: Unpicklable("out of credit"),
    "unspeakable": lambda: Unspeakable("out of credit"),
    "local": local,
    "cancelled": lambda: asyncio.CancelledError("out of credit"),
    "exit": lambda: SystemExit("out of credit"),
    "control": lambda: ValueError("out of \\x1b[31mcredit"),
}

class Odd:
    name = "odd"

    def __init__(self, how):
        self.how = how

    async def sample(self, asks):
        raise FAILURES[self.how]()
        yield 0, Sample("")

@asynccontextmanager
async def shut(how):
    raise FAILURES[how]()
    yield Odd(how)
"""


LONG_STATES = """
from contextlib import nullcontext
import surefoot
from surefoot.models.doubles import Double

def long(number):
    return f"{number};" + "x" * 400_000

class Long(surefoot.Task[str, int]):
    name = "long"
    def spec(self): return {}
    def start(self): return long(0)
    def ask(self, state, view=0): return state.partition(";")[0]
    def read(self, text, state, view=0): return int(text)
    def advance(self, state, answer): return long(answer)
    def finished(self, state): return state == long(200)

def counts():
    return nullcontext(Double(lambda prompt: str(int(prompt) + 1), lambda prompt, which: "0"))
"""


@pytest.fixture
def long_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of a task whose states are longer than what a pipe holds."""
    (tmp_path / "long_states.py").write_text(LONG_STATES)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("long_states")
    sys.modules.pop("long_states")


@pytest.mark.timeout(60)
async def test_long_states_go_both_ways_at_once(long_states: Any) -> None:
    """Each side writes more than the pipe holds while the other one does."""
    async with RolloutProcess(long_states.Long(), long_states.counts) as draft:
        for number in range(20):
            assert await states(draft, long_states.long(number), 1) == [long_states.long(number + 1)]


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of models that fail oddly, which the process finds as it finds everything: on the path that this one has."""
    (tmp_path / "odd_models.py").write_text(ODD_MODELS)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("odd_models")
    sys.modules.pop("odd_models")


WORDS = {
    "two arguments": "402: out of credit",
    "foreign": r"failed in its process \(Foreign\('402: out of credit'\)",
    "unpicklable": r"failed in its process \(Unpicklable\('out of credit'\)",
    "unspeakable": r"failed in its process \(Unspeakable\)",
    "local": r"failed in its process \(Local\('out of credit'\)",
    "cancelled": r"failed in its process \(CancelledError\('out of credit'\)",
    "exit": "has ended",
    "control": r"failed in its process \(ValueError\('out of \\+x1b\[31mcredit'\)",
}


@pytest.mark.parametrize("how", WORDS)
async def test_u3_a_failure_comes_over_whatever_its_class_and_no_caller_is_left_waiting(
    odd: Any, how: str
) -> None:
    kind = odd.TwoArguments if how == "two arguments" else ModelUnavailable
    async with asyncio.timeout(60), RolloutProcess(TASK, partial(nullcontext, odd.Odd(how))) as draft:
        for _ in range(2):
            with pytest.raises(kind, match=WORDS[how] if how != "exit" else "has ended") as raised:
                await states(draft, TASK.start())
            if how == "two arguments":
                assert raised.value.code == 402


@pytest.mark.parametrize("how", ["two arguments", "foreign", "unpicklable", "local"])
async def test_u3_a_model_that_fails_oddly_while_it_is_opened_is_told_of_in_its_words(
    odd: Any, how: str
) -> None:
    kind = odd.TwoArguments if how == "two arguments" else ModelUnavailable
    with pytest.raises(kind, match=WORDS[how]):
        async with asyncio.timeout(60), RolloutProcess(TASK, partial(odd.shut, how)):
            raise AssertionError("it was opened")


@pytest.mark.parametrize("how", ["two arguments", "foreign", "local", "cancelled"])
async def test_u3_a_run_whose_draft_fails_oddly_ends_with_its_words(
    redis_url: str, odd: Any, how: str
) -> None:
    kind = odd.TwoArguments if how == "two arguments" else ModelUnavailable
    model = towers_double(latency=0.05)
    async with asyncio.timeout(60), RolloutProcess(TASK, partial(nullcontext, odd.Odd(how))) as draft:
        with pytest.raises(kind, match=WORDS[how]):
            await surefoot.run(TASK, K3, model=model, redis=redis_url, speculate=surefoot.Speculation(draft))


async def test_a_process_that_was_killed_is_not_waited_for() -> None:
    async with DoubleServer(SLOPPY) as server, RolloutProcess(TASK, asking(server)) as draft:
        async with aclosing(draft.propose([TASK.start()])) as rolled:
            await anext(rolled)
            (process,) = multiprocessing.active_children()
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            with pytest.raises(ModelUnavailable, match="has ended"):
                async for _ in rolled:
                    pass
        with pytest.raises(ModelUnavailable, match="has ended"):
            await states(draft, TASK.start())


async def test_a_run_with_it_decides_what_a_run_without_it_does() -> None:
    task, model = Towers(5, "compact"), towers_double(error=0.05, invalid=0.05, latency=0.02, seed=1)
    alone = await surefoot.run(task, K3, model=model)
    async with DoubleServer(SLOPPY) as server, RolloutProcess(task.short(), asking(server)) as draft:
        ahead = await surefoot.run(task, K3, model=model, speculate=surefoot.Speculation(draft))
    assert (ahead.head, ahead.votes, ahead.red_flags) == (alone.head, alone.votes, alone.red_flags)
    assert ahead.speculation is not None and ahead.speculation.accepted > 10

"""Tasks of one's own in the engine: what they must not return, what they may raise, and richer values by a codec."""

import enum
import pickle
import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel
from redis.asyncio import Redis

import surefoot
from surefoot import (
    BadInput,
    Case,
    NotAnAnswer,
    NotPlain,
    Settings,
    Stalled,
    SurefootError,
    Task,
    TaskFailed,
    Typed,
)
from surefoot.agents.tasks.guarded import guarded
from surefoot.agents.tasks.optional import Attempt
from surefoot.agents.tasks.plain_values import is_plain
from surefoot.models.base import Ask, Message, Prompt
from surefoot.models.doubles import Double, Garbage
from surefoot.orchestration.journal import jobs
from surefoot.voting import PAPER, InvariantBroken, Sample

K2 = Settings(k=2)


def answered(prompt: Prompt) -> str:
    return str(int(str(prompt).split()[0]) - 1)


def counter(**options: Any) -> Double:
    return Double(answered, lambda prompt, which: str(1000 + which % 1000), **options)


class Countdown(Task[Any, Any]):
    """Counts down; what its methods do is replaced by name, so that each can go wrong in its own way."""

    name = "countdown"

    def __init__(self, first: int = 5, **odd: Any) -> None:
        self.first, self.odd = first, odd

    def _or(self, method: str, usual: Any, *given: Any) -> Any:
        odd = self.odd.get(method)
        return odd(*given) if callable(odd) else usual

    def spec(self) -> Mapping[str, Any]:
        return self._or("spec", {"first": self.first})  # type: ignore[no-any-return]

    def start(self) -> Any:
        return self._or("start", self.first)

    def ask(self, state: Any, view: int = 0) -> Prompt:
        return self._or("ask", f"{state} - 1 =", state)  # type: ignore[no-any-return]

    def read(self, text: str, state: Any, view: int = 0) -> Any:
        if "read" not in self.odd and not text.isdigit():
            raise NotAnAnswer("not a number")
        return self._or("read", int(text) if text.isdigit() else 0, text)

    def advance(self, state: Any, answer: Any) -> Any:
        return self._or("advance", answer, state, answer)

    def finished(self, state: Any) -> bool:
        return self._or("finished", state == 0, state)  # type: ignore[no-any-return]

    def solved(self, state: Any) -> bool:
        return self._or("solved", True, state)  # type: ignore[no-any-return]

    def steps(self) -> int | None:
        return self._or("steps", self.first)  # type: ignore[no-any-return]

    def audit(self, state: Any, answer: Any) -> str | None:
        return self._or("audit", None, state, answer)  # type: ignore[no-any-return]

    def case(self, rng: random.Random) -> Any:
        state = rng.randint(1, self.first)
        return self._or("case", Case(state, state - 1), state)

    def show(self, answer: Any) -> str:
        return self._or("show", str(answer), answer)  # type: ignore[no-any-return]

    def acts(self, state: Any) -> bool:
        return "act" in self.odd or self._or("acts", False, state)

    async def act(self, state: Any, attempt: Attempt) -> Any:
        return self._or("act", state - 1, state)


@dataclass(frozen=True)
class Box:
    inside: int


class Colour(enum.IntEnum):
    RED = 1


class Pair(NamedTuple):
    left: Any
    right: Any


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, True),
        (True, True),
        (10**40, True),
        ("text", True),
        ((), True),
        ((1, (2, ("x", None)), ()), True),
        (Pair(1, (Pair(2, "x"),)), True),
        (1.5, False),
        ([1], False),
        (((1, [2]),), False),
        (Pair(1, {2}), False),
        ((1, (2, (3, 4.0))), False),
        (Box(1), False),
        (Colour.RED, False),
        (((), (), (b"x",)), False),
        (((1, (2,)), (3, (4, [5])), 6), False),
        ({"a": 1}, False),
    ],
)
def test_a_value_is_plain_if_it_comes_back_from_the_journal_as_it_was(value: object, plain: bool) -> None:
    assert is_plain(value) is plain


def boom(*given: Any) -> Any:
    raise KeyError("gone\x1b[2J")


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"start": lambda: ((1, 2, [3]),)}, r"`start`: returned a list at \[0\]\[2\]: \[3\]; write it as a tuple"),
        ({"start": lambda: 1.5}, r"`start`: returned a float: 1.5; write it as a whole number"),
        ({"start": lambda: Box(1)}, r"`start`: returned a Box: Box\(inside=1\).*surefoot.Typed"),
        ({"spec": lambda: {"first": [5]}}, r"`spec\(\)\['first'\]`: returned a list: \[5\]"),
        ({"spec": lambda: [5]}, r"`spec`: returned a list; it returns a mapping"),
        ({"read": lambda text: [int(text)]}, r"`read` at step 0: returned a list: \[4\]"),
        ({"read": lambda text: Box(int(text))}, r"`read` at step 0: returned a Box"),
        ({"read": lambda text: (0, (int(text), 0.5))}, r"`read` at step 0: returned a float at \[1\]\[1\]: 0.5"),
        ({"read": lambda text: Colour.RED}, r"`read` at step 0: returned a Colour"),
        ({"read": lambda text: None}, r"`read` at step 0: returned None; the sample was '4'; .*NotAnAnswer"),
        ({"advance": lambda state, answer: {answer}}, r"`advance` at step 0: returned a set"),
        (
            {"advance": lambda state, answer: [answer] if answer == 2 else answer},
            r"`advance` at step 2: returned a list: \[2\]",
        ),
        ({"ask": lambda state: [{"role": "user"}]}, r"`ask` at step 0: returned a list; a prompt is a text or"),
    ],
)  # fmt: skip
async def test_a_value_that_is_not_plain_is_refused_at_once_with_what_and_where(
    redis_url: str, odd: dict[str, Any], said: str
) -> None:
    with pytest.raises(TaskFailed, match=said):
        await surefoot.run(Countdown(**odd), K2, model=counter(), redis=redis_url)


def nested(deep: int, inside: Any = 1) -> Any:
    for _ in range(deep):
        inside = (inside,)
    return inside


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (10**4300, "returned a value that cannot be read back: .*thousands of digits as a text"),
        (-(10**5000), "returned a value that cannot be read back"),
        (("a", (1, 10**5000)), "returned a value that cannot be read back"),
        (
            nested(5000),
            r"returned a tuple at \[0\]\[0\].*: .*; tuples may lie in one another 100 deep: write the value",
        ),
        ((1, Pair(nested(150), 2)), r"returned a tuple at \[1\]\[0\]\[0\].*100 deep"),
        (nested(5000, 10**5000), "returned a tuple at .*100 deep"),
        (nested(50, [1]), r"returned a list at (\[0\]){50}: \[1\]"),
        ("x" * 5000 + "\ud800", "returned a text that cannot be written down"),
    ],
    ids=range(8),
)
@pytest.mark.parametrize("method", ["read", "advance", "start", "case"])
async def test_a_number_too_long_or_tuples_too_deep_for_the_journal_are_refused_like_any_other_value(
    redis_url: str, method: str, value: Any, said: str
) -> None:
    """JSON is read back with 4,300 digits and 200 levels; whatever has more is found when it is returned, not at the resume."""
    task = Countdown(**{method: lambda *given: Case(value, 1) if method == "case" else value})
    where = " at step 0" if method in ("read", "advance") else ""
    k = None if method == "case" else 2
    with pytest.raises(NotPlain, match=rf"failed in `{method}`{where}: {said}") as refused:
        await surefoot.run(task, Settings(k=k), model=counter(), redis=redis_url)
    assert len(str(refused.value)) < 1000


async def test_the_longest_number_and_the_deepest_tuple_come_back(redis_url: str) -> None:
    for value in (10**4300 - 1, nested(100), (nested(50, Pair(1, (2, 3))), "x" * 100_000)):
        task = Countdown(
            read=lambda text, value=value: (int(text), value), advance=lambda state, answer: answer[0]
        )
        paused = await surefoot.run(
            task, K2, model=counter(error=0.2), redis=redis_url, budget=surefoot.Budget(steps=2)
        )
        report = await surefoot.resume(paused.job, task=task, model=counter(), redis=redis_url)
        assert (report.solved, report.steps_read_back) == (True, 5)


class Tangled(BaseModel, frozen=True):
    """A state that equals nothing, and has no hash."""

    inside: int

    def __eq__(self, other: object) -> bool:
        raise RecursionError("too deep")


class Unhashed(BaseModel, frozen=True):
    inside: int

    def __hash__(self) -> int:
        raise RecursionError("too deep")


@pytest.mark.parametrize(
    ("kind", "said"),
    [(Tangled, "`Typed.encode`: RecursionError: too deep"), (Unhashed, "cannot be hashed: too deep")],
)
async def test_a_rich_state_that_cannot_be_compared_or_hashed_is_named(kind: Any, said: str) -> None:
    task = Countdown(start=lambda: kind(inside=1))
    task.state_codec = Typed(kind)
    with pytest.raises(TaskFailed, match=said):
        await surefoot.run(task, K2, model=counter(), redis="unix:///nowhere")


@pytest.mark.parametrize(
    "odd",
    [{"start": lambda: "\ud800"}, {"spec": lambda: {"x": "\udfff"}}, {"read": lambda text: f"{text}\ud83d"}],
)
async def test_half_a_character_cannot_be_written_down(redis_url: str, odd: dict[str, Any]) -> None:
    with pytest.raises(TaskFailed, match="returned a text that cannot be written down"):
        await surefoot.run(Countdown(**odd), K2, model=counter(), redis=redis_url)


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [
        ("views", 0, "`views`: it is 0; give a whole number from 1 on"),
        ("views", 1.5, "`views`: it is 1.5"),
        ("views", None, "`views`: it is None"),
        ("flags", None, "`flags`: it is None; give red flags"),
        ("sampling", {"temperature": 1}, "`sampling`: it is {'temperature': 1}; give a surefoot.Sampling"),
    ],
)
async def test_an_attribute_of_another_type_is_refused_before_anything_is_opened(
    attribute: str, value: object, said: str
) -> None:
    task = Countdown()
    setattr(task, attribute, value)
    with pytest.raises(TaskFailed) as refused:
        await surefoot.run(task, model="http://127.0.0.1:1/v1", redis="unix:///nowhere")
    assert said in str(refused.value)


@pytest.mark.parametrize("steps", [2.5, -1, True, "5", [5], 2**60])
async def test_a_number_of_steps_that_is_none_is_refused_and_leaves_no_job(
    redis_url: str, steps: object
) -> None:
    with pytest.raises(
        TaskFailed, match=r"`steps`: returned .*whole number from 0 on, or None if it is unknown"
    ):
        await surefoot.run(Countdown(steps=lambda: steps), K2, model=counter(), redis=redis_url)
    assert await surefoot.jobs(redis=redis_url) == []


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (({"role": "user"},), r"a tuple with a dict: \{'role': 'user'\}; a prompt is a text or a tuple of"),
        ((("user", "4"),), "a tuple with a tuple"),
        ((), "an empty tuple"),
        ((Message("user", None),), "a message that is no text"),  # type: ignore[arg-type]
        ((Message("user", "\ud800"),), "a message that is no text"),
        ("4 \ud800", "half a character: '4 .*ud800'; leave it out"),
    ],
)
async def test_a_prompt_that_cannot_be_sent_is_the_fault_of_ask(
    redis_url: str, prompt: object, said: str
) -> None:
    with pytest.raises(TaskFailed, match=f"`ask` at step 0: returned {said}"):
        await surefoot.run(Countdown(ask=lambda state: prompt), K2, model=counter(), redis=redis_url)


class Speechless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


def speechless(*given: Any) -> Any:
    raise Speechless


async def test_an_object_that_cannot_even_be_shown_is_named_by_its_type(redis_url: str) -> None:
    for odd, said in (
        ({"ask": speechless}, r"Speechless: a Speechless that cannot be shown \(RuntimeError\)"),
        ({"read": lambda text: [Speechless()]}, "returned a list: a list that cannot be shown"),
    ):
        with pytest.raises(TaskFailed, match=said):
            await surefoot.run(Countdown(**odd), K2, model=counter(), redis=redis_url)
    with pytest.raises(surefoot.SurefootError, match="step 0: returned a Speechless that cannot be shown"):
        task = Countdown(audit=lambda state, answer: Speechless())
        await surefoot.run(task, K2, model=counter(), redis=redis_url)


async def test_a_start_that_the_journal_could_not_read_back_is_refused() -> None:
    with pytest.raises(NotPlain, match=r"cannot be read back.*thousands of digits as a text"):
        await surefoot.run(Countdown(start=lambda: 10**5000), model=counter(), redis="unix:///nowhere")


async def test_what_start_and_spec_return_is_looked_at_before_anything_is_opened() -> None:
    for odd in ({"start": lambda: [1]}, {"spec": lambda: {"first": 1.0}}):
        with pytest.raises(NotPlain) as refused:
            await surefoot.run(Countdown(**odd), model="http://127.0.0.1:1/v1", redis="unix:///nowhere")
        assert isinstance(refused.value, BadInput)


@pytest.mark.parametrize(
    ("method", "where"),
    [
        ("ask", "`ask` at step 0"),
        ("read", "`read` at step 0"),
        ("advance", "`advance` at step 0"),
        ("finished", "`finished`"),
        ("act", "`act` at step 0"),
        ("audit", "`audit` at step 0"),
        ("solved", "`solved`"),
        ("start", "`start`"),
        ("spec", "`spec`"),
    ],
)
async def test_what_a_task_raises_says_where_it_happened(redis_url: str, method: str, where: str) -> None:
    with pytest.raises(TaskFailed) as failure:
        await surefoot.run(Countdown(**{method: boom}), K2, model=counter(), redis=redis_url)
    error = failure.value
    assert f"task 'countdown' failed in {where}: KeyError: 'gone" in str(error)
    assert "\x1b" not in str(error)
    assert type(error.__cause__) is KeyError
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.step, again.job) == (
        type(error),
        str(error),
        error.step,
        error.job,
    )


@pytest.mark.parametrize("speculate", [None, surefoot.Speculation("leading")], ids=["in turn", "ahead"])
async def test_a_value_error_in_read_says_what_to_raise_and_shows_the_sample(
    redis_url: str, speculate: surefoot.Speculation | None
) -> None:
    wordy = Double(lambda prompt: "It\x1b[31m is " + "x" * 2000, lambda prompt, which: "")
    task = Countdown(read=lambda text: int(text))
    with pytest.raises(TaskFailed) as failure:
        await surefoot.run(task, K2, model=wordy, redis=redis_url, speculate=speculate)
    error = failure.value
    assert "ValueError: invalid literal for int()" in str(error)
    assert "the sample was 'It\\x1b[31m is xxx" in str(error)
    assert "raises surefoot.NotAnAnswer, which throws the sample away" in str(error)
    assert len(str(error)) < 1000
    assert (error.step, error.method) == (0, "read")


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"finished": lambda state: None}, "`finished`: returned None; it returns True or False"),
        ({"finished": lambda state: int(state == 0)}, "`finished`: returned 0; it"),
        ({"solved": lambda state: "no"}, "`solved`: returned 'no'; it returns True or False"),
        ({"acts": lambda state: None}, "`acts` at step 0: returned None; it returns True or False"),
        ({"advance": lambda state, answer: None}, "`advance` at step 0: returned None; it returns the state"),
        ({"audit": lambda state, answer: False}, "`audit` at step 0: returned False; .*, a text, or None"),
    ],
)  # fmt: skip
async def test_a_value_that_could_be_read_in_the_wrong_sense_is_refused(
    redis_url: str, odd: dict[str, Any], said: str
) -> None:
    with pytest.raises(TaskFailed, match=said):
        await surefoot.run(Countdown(**odd), K2, model=counter(), redis=redis_url)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"steps": lambda: 3}, "after 3 steps, all that `steps` says, and `finished` says no"),
        ({"steps": lambda: 0}, "after 0 steps, all that `steps` says, and `finished` says no"),
        ({"solved": lambda state: False}, "after 5 steps, `solved` says no"),
    ],
)
async def test_a_job_that_failed_says_why(redis_url: str, odd: dict[str, Any], said: str) -> None:
    solved = odd.get("solved", lambda state: state == 0)
    task = Countdown(**{**odd, "solved": solved})
    report = await surefoot.run(task, K2, model=counter(), redis=redis_url)
    assert (report.status, report.stopped) == ("failed", said)
    assert (await surefoot.report(report.job, redis=redis_url)).stopped == said
    if "steps" not in odd:
        mended = await surefoot.resume(report.job, task=Countdown, model=counter(), redis=redis_url)
        assert (mended.solved, mended.stopped) == (True, None)


async def test_a_flag_s_check_returns_a_text_or_none(redis_url: str) -> None:
    task = Countdown()
    task.flags = PAPER | InvariantBroken("odd", lambda state, answer: answer % 2 == 1)  # type: ignore[arg-type,return-value]
    with pytest.raises(
        TaskFailed, match=r"`flags` at step 0: TypeError: 'odd' returns .* None, and not False"
    ):
        await surefoot.run(task, K2, model=counter(), redis=redis_url)


async def test_a_spec_that_would_not_make_the_task_again_is_refused_before_anything_is_opened() -> None:
    class Fixed(Typeful):
        def spec(self) -> Mapping[str, Any]:
            return {"first": 9}

    with pytest.raises(TaskFailed, match=r"`spec`: Fixed\(...\) got an unexpected keyword argument 'first'"):
        await surefoot.run(Fixed(), K2, model=counter(), redis="unix:///nowhere")


async def test_flags_of_ones_own_that_raise_are_named_too(redis_url: str) -> None:
    task = Countdown()
    task.flags = PAPER | InvariantBroken("odd", lambda state, answer: boom())
    with pytest.raises(TaskFailed, match="`flags` at step 0: KeyError"):
        await surefoot.run(task, K2, model=counter(), redis=redis_url)


@pytest.mark.parametrize(
    "odd", [{"case": boom}, {"case": lambda state: (state, 1)}, {"case": lambda state: Case([state])}]
)
async def test_cases_that_cannot_be_are_named_by_plan_and_run(redis_url: str, odd: dict[str, Any]) -> None:
    for work in (surefoot.plan(Countdown(**odd), model=counter()),
                 surefoot.run(Countdown(**odd), model=counter(), redis=redis_url)):  # fmt: skip
        with pytest.raises(TaskFailed, match="`case`"):
            await work


async def test_the_made_up_name_of_a_job_is_in_whatever_ends_it(redis_url: str) -> None:
    class Moody(Double):
        async def sample(self, asks: Any) -> Any:
            raise ZeroDivisionError("a model of one's own")
            yield

    async def the_job() -> str:
        async with Redis.from_url(redis_url) as client:
            return (await jobs.every(client))[-1].id

    broken = Countdown(advance=boom)
    for task, model, kind in ((broken, counter(), TaskFailed), (Countdown(), Garbage(), Stalled)):
        with pytest.raises(SurefootError) as failure:
            await surefoot.run(task, Settings(k=2, limit=10), model=model, redis=redis_url)
        assert isinstance(failure.value, kind)
        assert failure.value.job == await the_job()
        assert f"(job {failure.value.job!r})" in str(failure.value)
    with pytest.raises(ZeroDivisionError) as raised:
        await surefoot.run(Countdown(), K2, model=Moody(answered, lambda prompt, which: ""), redis=redis_url)
    assert await the_job() in "".join(raised.value.__notes__)


async def test_a_mended_task_goes_on_where_it_failed(redis_url: str) -> None:
    def fails_late(state: int, answer: int) -> int:
        if answer == 1:
            raise RuntimeError("not so far")
        return answer

    with pytest.raises(TaskFailed, match="`advance` at step 3") as failure:
        await surefoot.run(Countdown(advance=fails_late), K2, model=counter(), redis=redis_url)
    report = await surefoot.resume(failure.value.job, task=Countdown, model=counter(), redis=redis_url)
    assert (report.solved, report.steps) == (True, 5)


class Board(BaseModel, frozen=True):
    left: int
    seen: tuple[str, ...] = ()


@dataclass(frozen=True)
class Move:
    to: int
    share: float


class Typeful(Task[Any, Any]):
    """A model for a state, a dataclass with a float for an answer, or named tuples for both."""

    name = "typeful"
    state_codec = Typed(Board)
    answer_codec = Typed(Move)

    def spec(self) -> Mapping[str, Any]:
        return {}

    def start(self) -> Any:
        return Board(left=9)

    def ask(self, state: Board, view: int = 0) -> Prompt:
        assert isinstance(state, Board)
        return f"{state.left} - 1 ="

    def read(self, text: str, state: Board, view: int = 0) -> Move:
        if not text.isdigit():
            raise NotAnAnswer("not a number")
        return Move(int(text), int(text) / 7)

    def advance(self, state: Board, answer: Move) -> Board:
        assert isinstance(state, Board)
        assert isinstance(answer, Move)
        return Board(left=answer.to, seen=(*state.seen, f"{answer.share:.2f}"))

    def finished(self, state: Board) -> bool:
        return state.left == 0

    def audit(self, state: Board, answer: Move) -> str | None:
        return None if answer.to == state.left - 1 else "not one less"

    def show(self, answer: Move) -> str:
        return f"to {answer.to}"


async def test_a_codec_brings_models_and_dataclasses_back_as_they_were(redis_url: str) -> None:
    """A run that was killed twice is the same as one that was not."""

    class Dying(Double):
        left = 7

        def draw(self, ask: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise ZeroDivisionError("killed")
            return super().draw(ask)

    calm = await surefoot.run(
        Typeful(), Settings(k=2, segment=2), model=counter(error=0.2, seed=5), redis=redis_url, job="calm"
    )
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            model = Dying(answered, lambda prompt, which: str(1000 + which % 1000), error=0.2, seed=5)
            await surefoot.run(Typeful(), Settings(k=2, segment=2), model=model, redis=redis_url, job="rough")
    rough = await surefoot.resume("rough", task=Typeful, model=counter(error=0.2, seed=5), redis=redis_url)
    assert calm.solved
    assert rough.solved
    assert rough.head == calm.head
    assert calm.contested_steps[0].winner.startswith("to ")
    without = await surefoot.report("rough", redis=redis_url)
    assert without.contested_steps[0].winner.startswith('"{')


class Slipped(Typeful):
    """Its state is made of parts of an answer that only the answer's codec can write."""

    answer_codec = Typed(tuple[Move, int])  # type: ignore[assignment]
    state_codec = None

    def start(self) -> Any:
        return (9,)

    def ask(self, state: Any, view: int = 0) -> str:
        return "9"

    def read(self, text: str, state: Any, view: int = 0) -> Any:
        return Move(8, 0.5), 1

    def advance(self, state: Any, answer: Any) -> Any:
        return (answer[0],)

    def finished(self, state: Any) -> bool:
        return False


async def test_parts_that_only_a_codec_can_write_are_no_state_by_themselves(redis_url: str) -> None:
    with pytest.raises(NotPlain, match=r"`advance` at step 0: returned a Move at \[0\]"):
        await surefoot.run(Slipped(), K2, model=counter(), redis=redis_url)


async def test_half_a_character_in_a_sample_that_is_kept_ends_no_run(redis_url: str) -> None:
    class Half:
        name = "half"

        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            for place, ask in enumerate(asks):
                yield place, counter().draw(ask) if ask.seed % 3 else Sample("\ud83d", "\ud800")

    found = await surefoot.run(Countdown(), Settings(k=2, seed=4), model=Half(), redis=redis_url)
    assert found.solved
    assert found.red_flags


class Loose(Typeful):
    """Its codec does not read back what it writes."""

    class _Codec:
        def encode(self, value: Board) -> int:
            return value.left

        def decode(self, plain: int) -> Board:
            return Board(left=plain)

    state_codec = _Codec()  # type: ignore[assignment]


async def test_a_codec_that_loses_something_is_found_out_at_the_first_value(redis_url: str) -> None:
    with pytest.raises(NotPlain, match=r"`advance` at step 0: returned Board.*reads back as Board"):
        await surefoot.run(Loose(), K2, model=counter(), redis=redis_url)


class Melting(Typeful):
    """A state that can be changed cannot be counted."""

    class Soft(BaseModel):
        left: int

    state_codec = Typed(Soft)

    def start(self) -> Any:
        return self.Soft(left=3)


async def test_a_state_that_is_not_frozen_is_refused() -> None:
    with pytest.raises(NotPlain, match=r"`start`: returned what cannot be hashed.*frozen"):
        await surefoot.run(Melting(), K2, model=counter(), redis="unix:///nowhere")


class Tupled(Countdown):
    """Relies on the names of a named tuple, which the journal does not keep."""

    def read(self, text: str, state: Any, view: int = 0) -> Any:
        return Pair(int(text), 0)

    def advance(self, state: Any, answer: Any) -> Any:
        return answer.left


async def test_names_of_a_tuple_that_the_journal_has_lost_are_explained(redis_url: str) -> None:
    with pytest.raises(TaskFailed, match="named tuples come back from the journal as tuples: unpack them"):
        await surefoot.run(Tupled(), K2, model=counter(), redis=redis_url)
    kept = Tupled()
    kept.answer_codec = Typed(Pair)
    assert (await surefoot.run(kept, K2, model=counter(), redis=redis_url)).solved


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is empty"),
        (" ", "is empty"),
        ("-x", "begins with a dash"),
        ("a\nb", "holds a character that cannot be shown"),
        ("\udcff", "holds a character that cannot be shown"),
    ],
)
async def test_a_name_that_no_command_could_be_given_is_refused_before_anything_is_spent(
    name: str, why: str
) -> None:
    with pytest.raises(BadInput) as refused:
        await surefoot.run(Countdown(), model="http://127.0.0.1:1/v1", redis="unix:///nowhere", job=name)
    assert f"the name {name!r} for a job {why}" in str(refused.value)


@dataclass(frozen=True)
class Place:
    """A state of a richer type; what its note is, a codec cannot know."""

    at: int
    note: Any = None


class Counted(Typed[Place]):
    """Counts how often something is read."""

    reads = 0

    def decode(self, plain: Any) -> Place:
        self.reads += 1
        return super().decode(plain)


class Places(Countdown):
    """Counts down from place to place."""

    def __init__(self, codec: Counted, notes: Mapping[int, Any] | None = None) -> None:
        super().__init__(40)
        self.state_codec, self.notes = codec, notes or {}

    def spec(self) -> Mapping[str, Any]:
        return {}

    def start(self) -> Any:
        return Place(self.first)

    def ask(self, state: Place, view: int = 0) -> Prompt:
        return f"{state.at} is where it stands"

    def advance(self, state: Place, answer: Any) -> Any:
        return Place(answer, self.notes.get(answer))

    def finished(self, state: Place) -> Any:
        return state.at == 0

    def solved(self, state: Place) -> Any:
        return state.at == 0


TENS = Settings(k=1, segment=10)


@pytest.mark.parametrize("of_answers", [False, True])
async def test_a_state_of_answers_is_read_back_only_where_it_is_written(
    redis_url: str, of_answers: bool
) -> None:
    codec = Counted(Place, of_answers=of_answers)
    report = await surefoot.run(Places(codec), TENS, model=counter(), redis=redis_url)
    assert (report.solved, report.steps) == (True, 40)
    assert codec.reads < 20 if of_answers else codec.reads >= 80


@pytest.mark.parametrize(("of_answers", "step"), [(False, 16), (True, 19)])
async def test_a_state_that_would_not_come_back_is_never_sealed(
    redis_url: str, of_answers: bool, step: int
) -> None:
    """At the step that made it, or at the end of its segment; mended, the job goes on with what was decided."""
    codec = Counted(Place, of_answers=of_answers)
    wrong = Places(codec, dict.fromkeys(range(24), (1, 2)))
    with pytest.raises(NotPlain, match="its codec reads back as Place") as raised:
        await surefoot.run(wrong, TENS, model=counter(), redis=redis_url, job="places")
    assert (raised.value.method, raised.value.step) == ("advance", step)
    async with Redis.from_url(redis_url) as redis:
        assert (await jobs.load(redis, "places")).sealed == 1
    mended = await surefoot.run(Places(codec), TENS, model=counter(), redis=redis_url, job="places")
    undisturbed = await surefoot.run(Places(codec), TENS, model=counter(), redis=redis_url, job="another")
    assert (mended.solved, mended.head) == (True, undisturbed.head)


def test_every_message_of_a_growing_conversation_is_looked_at_once() -> None:
    chat = tuple(Message("user", str(number)) for number in range(5))
    shown: list[Any] = [chat, (*chat, Message("user", "more")), chat[:3], (*chat[:2], Message("user", "2"))]
    task = guarded(Countdown(ask=lambda state: shown.pop(0)))
    assert [len(task.ask(5)) for _ in range(4)] == [5, 6, 3, 3]
    for wrong in (
        (*chat, Message("user", "half \ud800")),
        (*chat[:2], "no message", *chat[3:]),
        (*chat, Message("user", 1)),  # type: ignore[arg-type]
        (),
        [*chat],
    ):
        shown[:] = [chat, wrong]
        task.ask(5)
        with pytest.raises(TaskFailed, match="returned"):
            task.ask(5)
        shown[:] = [wrong]  # what was refused is not known as right
        with pytest.raises(TaskFailed, match="returned"):
            task.ask(5)

"""The driver: every sample gets its answer, everything spent is on the bill, and no thought leaves."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

import pytest

from surefoot.agents.reasoning.control import RESTARTS
from surefoot.agents.reasoning.reasoner import (
    Close,
    Control,
    ControlFailed,
    Drop,
    Reasoner,
    Restart,
    StreamAction,
    StreamState,
    Watch,
)
from surefoot.agents.reasoning.route import NoThinking
from surefoot.agents.reasoning.thoughts import Thought
from surefoot.errors import BadInput
from surefoot.models.base import Ask, Message, Prompt
from surefoot.models.doubles.double import towers_double
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.doubles.thinking import ThinkingDouble
from surefoot.models.doubles.thoughts import ScriptedThought, Segment, Writer, overthinker, scripted
from surefoot.models.openai import OpenAIModel
from surefoot.models.streaming import Draw, Piece, Streaming, whole_stream
from surefoot.models.tags import Tags
from surefoot.voting.samples import Sample

STEPS = [
    ScriptedThought("2 + 2 is 5.", "five"),
    ScriptedThought("Wait, 2 + 2 is 4.", "four"),
    ScriptedThought("Hmm, is it? It is 6.", "six"),
]
SECRETS = ("is 5", "is 4", "is 6", "think>", "Wait", "Hmm")
CHAT: Prompt = (Message("user", "2 + 2?"),)


def thinker(
    writer: Writer | None = None, token_s: float = 0.0, enforces_budget: bool = False
) -> ThinkingDouble:
    return ThinkingDouble(
        writer or scripted(STEPS, direct="many"), token_s=token_s, enforces_budget=enforces_budget
    )


def ask(seed: int = 0, prompt: Prompt = "2 + 2?", max_tokens: int = 100) -> Ask:
    return Ask(prompt, 0.5, max_tokens, seed)


async def drawn(reasoner: Reasoner, *asks: Ask) -> list[Sample]:
    async with aclosing(reasoner.sample(asks)) as samples:
        found = {position: sample async for position, sample in samples}
    return [found[position] for position in range(len(asks))]


class Acts(Control):
    """Does something about the stream as soon as it has come to a number of thoughts."""

    def __init__(self, action: StreamAction, after: int = 1, name: str = "acts") -> None:
        self.action, self.after = action, after
        self._name = name
        self.closed = 0
        self.seen: list[tuple[str, str]] = []

    @property
    def name(self) -> str:
        return self._name

    def watch(self, draw: Draw, model: Streaming) -> Watch:
        return _Acting(self)


class _Acting(Watch):
    def __init__(self, control: Acts) -> None:
        self.control = control

    async def see(self, state: StreamState, piece: Piece, thoughts: Sequence[Thought]) -> StreamAction | None:
        self.control.seen.append((piece.thought, piece.text))
        return self.control.action if len(state.thoughts) >= self.control.after else None

    async def aclose(self) -> None:
        self.control.closed += 1


# --- samples ---


@pytest.mark.parametrize("prompt", ["2 + 2?", CHAT])
async def test_a_sample_is_the_answer_and_its_usage_is_everything(prompt: Prompt) -> None:
    double = thinker()
    (sample,) = await drawn(Reasoner(double), ask(prompt=prompt))
    assert (sample.text, sample.finish) == ("six", "stop")
    assert sample.usage.completion == double.streamed.tokens
    assert sample.tokens == 2
    assert sample.usage.reasoning == sample.usage.completion - 2


async def test_the_answer_gets_its_share_wherever_the_thinking_is_cut() -> None:
    double = thinker()
    whole = len(double.written(Reasoner(double).draw(ask()))[0])
    for limit in range(1, whole + 5):
        before = double.streamed.tokens
        state = await Reasoner(double, think_tokens=limit).think(ask())
        assert state.text.strip() in ("many", "five", "four", "six")
        assert state.finish == "stop"
        assert state.tokens <= limit
        assert state.ended_by == ("budget" if limit <= whole - 2 else None)
        assert state.usage.completion == double.streamed.tokens - before
    assert state.text.strip() == "six"


async def test_a_long_answer_is_cut_at_its_share_and_not_at_the_rest_of_the_thinkings() -> None:
    long = scripted([ScriptedThought("So.", " ".join(["word"] * 30))])
    for think_tokens in (5, 9, 2000):
        (sample,) = await drawn(Reasoner(thinker(long), think_tokens=think_tokens), ask(max_tokens=100))
        assert (sample.text.count("word"), sample.finish) == (30, "stop")
        (sample,) = await drawn(Reasoner(thinker(long), think_tokens=think_tokens), ask(max_tokens=10))
        assert sample.finish == "length"
        assert sample.text.count("word") in range(8, 12)


async def test_no_thought_reaches_a_sample_or_a_repr() -> None:
    double = thinker()
    for limit in range(1, 30):
        reasoner = Reasoner(double, think_tokens=limit)
        state = await reasoner.think(ask())
        shown = repr(await drawn(reasoner, ask())) + repr(state)
        assert not any(secret in shown for secret in SECRETS)


async def test_thinking_that_nothing_opened_does_not_leak() -> None:
    """As from a server whose template opens the tag, asked without knowing that."""

    def write(prompt: Prompt, raw: str, dice: object) -> Segment | None:
        return None if raw else Segment("secretly 5.\n\nWait.</think>4")

    double = thinker(write)
    state = await Reasoner(double).think(ask())
    assert (state.thought, state.text) == ("secretly 5.\n\nWait.", "4")
    assert state.tokens + state.answer_tokens == double.streamed.tokens
    assert [sample.text for sample in await drawn(Reasoner(double), ask())] == ["4"]


async def test_a_template_that_opens_the_tag_can_be_known() -> None:
    opened = Tags(opened=True)
    double = ThinkingDouble(scripted(STEPS), tags=opened)
    reasoner = Reasoner(double, tags=opened, think_tokens=6)
    state = await reasoner.think(ask())
    assert (state.ended_by, state.tokens, state.text) == ("budget", 6, "five")
    assert double.draws[1].begun == "2 + 2 is 5.</think>"


async def test_a_model_that_does_not_think_is_left_to_answer() -> None:
    double = thinker(lambda prompt, raw, dice: None if raw else Segment("4"))
    state = await Reasoner(double).think(ask())
    assert (state.text, state.thought, state.finish, double.streamed.begun) == ("4", "", "stop", 1)


@pytest.mark.parametrize("prompt", ["2 + 2?", CHAT])
async def test_thinking_can_be_left_out(prompt: Prompt) -> None:
    double = thinker()
    state = await Reasoner(double, NoThinking()).think(ask(prompt=prompt))
    assert (state.text.strip(), state.thought, state.tokens) == ("many", "", 0)


async def test_the_same_ask_gets_the_same_sample() -> None:
    double = thinker(overthinker(lambda _: "4", lambda _, which: str(which % 4)))
    asks = [ask(seed) for seed in range(20)]
    first = await drawn(Reasoner(double, think_tokens=20), *asks)
    again = await drawn(Reasoner(double, think_tokens=20), *reversed(asks))
    assert first == again[::-1]
    assert len({sample.text for sample in first}) > 1


async def test_asks_run_at_the_same_time_and_closing_aborts_them_all() -> None:
    double = thinker(token_s=0.005)
    async with aclosing(Reasoner(double).sample([ask(seed) for seed in range(8)])) as samples:
        async for _ in samples:
            break
    assert double.streamed.begun == 8
    assert double.streamed.finished + double.streamed.aborted == 8


def test_shares_of_no_token_are_refused() -> None:
    with pytest.raises(BadInput, match="not 2048 and 0"):
        Reasoner(thinker(), answer_tokens=0)


# --- controls ---


async def test_a_control_closes_the_thinking_and_the_model_answers_what_it_has() -> None:
    double = thinker()
    control = Acts(Close("That will do.\n"))
    reasoner = Reasoner(double, control)
    state = await reasoner.think(ask())
    assert (state.text, state.ended_by, state.finish) == ("five", "acts", "stop")
    assert double.draws[1].begun == "<think>\n2 + 2 is 5.\n\nThat will do.\n</think>"
    assert double.streamed.aborted == 1
    assert state.usage.completion == double.streamed.tokens
    assert control.closed == 1
    assert control.seen[-2:] == [("", "five"), ("", "")] or control.seen[-1][1] == "five"


async def test_a_control_restarts_the_thinking_with_another_seed_but_not_for_ever() -> None:
    double = thinker()
    restarted = Reasoner(double, Acts(Restart("Think of apples. ")))
    state = await restarted.think(ask())
    begun = [draw.begun for draw in double.draws]
    assert begun[:4] == ["", *["<think>Think of apples. "] * 3]
    assert begun[4].endswith("</think>")
    assert len({draw.seed for draw in double.draws}) == RESTARTS + 2
    assert state.restarts == RESTARTS
    assert state.usage.completion == double.streamed.tokens
    assert len(state.thoughts) == 1


async def test_a_restart_without_guidance_begins_as_at_first() -> None:
    double = thinker()
    reasoner = Reasoner(double, Acts(Restart()))
    await reasoner.think(ask())
    assert [draw.begun for draw in double.draws][:4] == [""] * 4


@pytest.mark.parametrize("after", [1, 3])
async def test_a_control_drops_a_sample_even_while_it_is_answered(after: int) -> None:
    double = thinker()
    reasoner = Reasoner(double, Acts(Drop("unsure"), after))
    state = await reasoner.think(ask())
    assert (state.finish, state.reason, state.ended_by) == ("dropped", "unsure", "acts")
    (sample,) = await drawn(reasoner, ask())
    assert (sample.text, sample.finish) == ("", "dropped")
    assert sample.usage.completion > 0


async def test_the_first_control_that_wants_something_gets_its_way() -> None:
    double = thinker()
    idle, closing, dropping = (
        Acts(Drop("never"), after=99),
        Acts(Close(), name="closing"),
        Acts(Drop("late"), name="dropping"),
    )
    reasoner = Reasoner(double, idle, closing, dropping)
    state = await reasoner.think(ask())
    assert reasoner.name == "thinking-double+acts+closing+dropping"
    assert state.ended_by == "dropping"
    assert double.draws[1].begun.endswith("</think>")
    assert [control.closed for control in (idle, closing, dropping)] == [1, 1, 1]


async def test_an_answer_that_has_begun_is_not_closed_again() -> None:
    double = thinker()
    reasoner = Reasoner(double, Acts(Close(), after=3))
    state = await reasoner.think(ask())
    assert (state.text.strip(), double.streamed.begun) == ("six", 2)


async def test_watchers_are_closed_when_the_stream_fails_too() -> None:
    class Broken(Acts):
        async def prepare(self, state: StreamState, model: Streaming) -> None:
            state.draw = replace(state.draw, prompt="")

    def fails(prompt: Prompt, raw: str, dice: object) -> Segment | None:
        raise BadInput("an empty prompt")

    control = Broken(Close())
    with pytest.raises(BadInput):
        await drawn(Reasoner(thinker(fails), control), ask())
    assert control.closed == 1


async def test_probes_on_the_side_are_on_the_bill() -> None:
    class Probes(Acts):
        def watch(self, draw: Draw, model: Streaming) -> Watch:
            return _Probing(draw, model)

    class _Probing(Watch):
        def __init__(self, draw: Draw, model: Streaming) -> None:
            self.draw, self.model = draw, model

        async def see(
            self, state: StreamState, piece: Piece, thoughts: Sequence[Thought]
        ) -> StreamAction | None:
            if thoughts:
                begun = state.open + "\n**Final Answer**\n\\boxed{"
                probe = await whole_stream(self.model, replace(self.draw, begun=begun, max_tokens=20))
                state.spend(probe.usage)
                answers.append(probe.thought)
            return None

    answers: list[str] = []
    double = thinker()
    (sample,) = await drawn(Reasoner(double, Probes(Close())), ask())
    assert answers == ["five", "four", "six", "six"][: len(answers)]
    assert sample.usage.completion == double.streamed.tokens


# --- what is no control ---


class Slip(Control):
    name = "slip"

    def __init__(self, watch: object) -> None:
        self.watched = watch

    def watch(self, draw: Draw, model: Streaming) -> Watch | None:
        return self.watched  # type: ignore[return-value]


class Says(Watch):
    def __init__(self, said: object) -> None:
        self.said = said

    async def see(self, state: StreamState, piece: Piece, thoughts: Sequence[Thought]) -> StreamAction | None:
        return self.said  # type: ignore[return-value]


class AtOnce(Watch):
    def see(self, state: StreamState, piece: Piece, thoughts: Sequence[Thought]) -> StreamAction | None:  # type: ignore[override]
        return None


@pytest.mark.parametrize(
    ("watch", "said"),
    [
        (Says(True), r"`see` of control 'slip' returns None, Close\(\), Restart\(\) or Drop\(\), not True"),
        (Says(False), r"not False"),
        (Says(Close), r"not <class '.*Close'>"),
        (AtOnce(), r"control 'slip': write `async def see` in AtOnce"),
        (Close(), r"`watch` of control 'slip' returns a Watch or None, not Close"),
    ],
)
async def test_a_slip_in_a_control_is_one_sentence(watch: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        await drawn(Reasoner(thinker(), Slip(watch)), ask())


class Alone:
    name = "alone"


class Sudden(Slip):
    def prepare(self, state: StreamState, model: Streaming) -> None:  # type: ignore[override]
        return None


@pytest.mark.parametrize(
    ("control", "said"),
    [
        (Alone(), "derives from Control, <.*Alone.* is none"),
        (Slip, "derives from Control, <.*Slip.* is none: call it first"),
        (Sudden(None), "write `async def prepare`"),
    ],
)
def test_what_is_no_control_is_refused_at_once(control: Control, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Reasoner(thinker(), control)


# --- over HTTP ---


@pytest.mark.parametrize("prompt", ["2 + 2?", CHAT])
@pytest.mark.parametrize("style", ["content", "reasoning"])
async def test_over_http_it_is_the_same(prompt: Prompt, style: str) -> None:
    double = thinker()
    for control in (Acts(Close()), Acts(Restart("Apples. "), 2), Acts(Drop("x"), 2), Acts(Close(), 99)):
        direct = await drawn(Reasoner(double, control), ask(prompt=prompt))
        async with DoubleServer(double, thoughts=style) as server, OpenAIModel(server.url) as model:  # type: ignore[arg-type]
            served = await drawn(Reasoner(model, control), ask(prompt=prompt))
        assert [(s.text, s.finish) for s in served] == [(s.text, s.finish) for s in direct]


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never happened")


async def test_what_a_control_ends_is_aborted_on_the_server() -> None:
    double = thinker(token_s=0.01)
    async with DoubleServer(double) as server, OpenAIModel(server.url) as model:
        await model.ready()
        await drawn(Reasoner(model, Acts(Drop("x"))), ask())
        await until(lambda: server.stats.aborted == 1 and server.stats.in_flight == 0)


class Breaks(Control):
    name = "breaks"

    def __init__(self, at: str) -> None:
        self.at = at

    async def prepare(self, state: StreamState, model: Streaming) -> None:
        if self.at == "prepare":
            raise KeyError("x")

    def watch(self, draw: Draw, model: Streaming) -> Watch | None:
        if self.at == "watch":
            raise KeyError("x")
        return BreaksToo()


class BreaksToo(Watch):
    async def see(self, state: StreamState, piece: Piece, thoughts: Sequence[Thought]) -> StreamAction | None:
        raise KeyError("x")


@pytest.mark.parametrize("at", ["prepare", "watch", "see"])
async def test_an_error_of_a_control_says_whose_it_is(at: str) -> None:
    with pytest.raises(ControlFailed, match=f"control 'breaks' failed in `{at}`: KeyError: 'x'"):
        await drawn(Reasoner(thinker(), Breaks(at)), ask())


def test_a_model_that_streams_nothing_is_refused_at_once() -> None:
    with pytest.raises(BadInput, match="listens to a model that streams its thoughts"):
        Reasoner(towers_double())  # type: ignore[arg-type]

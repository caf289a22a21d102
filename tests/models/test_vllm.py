"""What vLLM does that a client has to know, played by the server double; `tests/vllm` asks the real one."""

import math
import random
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.agents.reasoning.budget import Elastic
from surefoot.agents.reasoning.reasoner import BUDGET, Reasoner
from surefoot.models.base import Ask, Message, Prompt
from surefoot.models.doubles.double import towers_double
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.doubles.thinking import Segment, ThinkingDouble
from surefoot.models.gather import in_order
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.choice_delta import ChoiceDelta
from surefoot.models.openai.exchange import RequestRefused
from surefoot.models.openai.options import Options
from surefoot.models.openai.vllm import StopCutter, goes_on_after_thinking, spoiled
from surefoot.models.streaming import Draw, Token, whole_stream

CONTEXT = 60
QUESTION = "How many?"
PROMPTS: list[Prompt] = [QUESTION, (Message("user", QUESTION),)]


def endless(prompt: Prompt, raw: str, dice: object) -> Segment | None:
    """Thinks for ever, but answers if its thinking is closed."""
    if "</think>" in raw:
        return None if raw.endswith("five") else Segment("five")
    return Segment("so five\n" if raw else "<think>")


def brief(prompt: Prompt, raw: str, dice: object) -> Segment | None:
    steps = {
        "": "<think>let me see",
        "<think>let me see": "\n so five.</think>",
        "<think>let me see\n so five.</think>": "five",
    }
    return Segment(steps[raw]) if raw in steps else None


@pytest.fixture
async def small() -> AsyncIterator[DoubleServer]:
    """A server whose context its model fills with thoughts."""
    model = ThinkingDouble(endless, enforces_budget=True)
    async with DoubleServer(model, owned_by="vllm", thoughts="reasoning", context=CONTEXT) as server:
        yield server


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize(
    "reasoner",
    [
        {"think_tokens": CONTEXT - 3},
        {},
        {"think_tokens": 40, "answer_tokens": 40},
        {"think_tokens": 5000, "answer_tokens": 5000},
    ],
)
@pytest.mark.parametrize("control", [None, Elastic(50, 20), Elastic(500, 100), Elastic(50, 20, native=False)])
async def test_thinking_that_would_fill_the_context_is_closed_and_answered(
    small: DoubleServer, prompt: Prompt, reasoner: dict[str, int], control: Elastic | None
) -> None:
    """W2: the job ended with a refusal whose message was empty."""
    async with OpenAIModel(small.url) as model:
        thinker = Reasoner(model, *([control] if control else []), **reasoner)
        state = await thinker.think(Ask(prompt, 0.0, 600, 1))
    assert (state.text, state.finish, state.ended_by) == ("five", "stop", BUDGET)
    assert state.thought.startswith("so five\n"), "half of the room is for thoughts"


@pytest.mark.parametrize("left", [1, 2])
async def test_a_sample_without_room_for_an_answer_says_so(small: DoubleServer, left: int) -> None:
    full = " ".join(["how"] * (CONTEXT - left))
    async with OpenAIModel(small.url) as model:
        for prompt in (full, (Message("user", full),)):
            (sample,) = await in_order(Reasoner(model), [Ask(prompt, 0.0, 50, 1)])
            assert (sample.text, sample.finish) == ("", "length")


async def test_a_prompt_longer_than_the_context_is_refused_in_the_servers_words(small: DoubleServer) -> None:
    async with OpenAIModel(small.url) as model:
        for prompt in ("how " * 100, (Message("user", "how " * 100),)):
            for thinker in (model, Reasoner(model)):
                with pytest.raises(RequestRefused, match=f"400: .*maximum context length is {CONTEXT}"):
                    await in_order(thinker, [Ask(prompt, 0.0, 50, 1)])


async def test_a_limit_longer_than_the_context_is_cut_to_it(small: DoubleServer) -> None:
    async with OpenAIModel(small.url) as model:
        samples = await in_order(model, [Ask(prompt, 0.0, 10_000, 1) for prompt in PROMPTS])
    assert {(sample.text, sample.finish) for sample in samples} == {("", "length")}


@pytest.mark.parametrize("stop", [(), ("\n\n",), ("Observation:", "\n\n")])
async def test_stop_strings_move_no_thoughts_into_answers(stop: tuple[str, ...]) -> None:
    """W1: `>five`.  The double holds text back for stop strings as vLLM does."""
    async with (
        DoubleServer(ThinkingDouble(brief), owned_by="vllm", thoughts="reasoning") as server,
        OpenAIModel(server.url, options=Options(stop=stop, stream=True)) as model,
    ):
        ask = Ask(PROMPTS[1], 0.0, 50, 1)
        samples = [*await in_order(model, [ask]), *await in_order(Reasoner(model), [ask])]
    assert [(sample.text, sample.finish) for sample in samples] == [("five", "stop")] * 2


@pytest.mark.parametrize(
    ("stop", "thought", "text"),
    [
        ("me see", "let ", ""),
        ("\n ", "let me see", ""),
        ("iv", "let me see\n so f", ""),
        ("xive", None, "five"),
    ],
)
async def test_a_stream_ends_at_the_first_stop_string(stop: str, thought: str | None, text: str) -> None:
    async with (
        DoubleServer(ThinkingDouble(brief), owned_by="vllm", thoughts="reasoning") as server,
        OpenAIModel(server.url) as model,
    ):
        draw = Draw(prompt=PROMPTS[1], temperature=0.0, max_tokens=50, seed=1, stop=(stop, "never"))
        found = await whole_stream(model, draw)
    whole = "let me see\n so five."
    assert (found.thought, found.text, found.finish) == (whole if thought is None else thought, text, "stop")


PARTS = st.lists(st.tuples(st.booleans(), st.text("ab\n", max_size=4)), max_size=12)


def cut(parts: Sequence[ChoiceDelta], stops: Sequence[str]) -> tuple[str, str, str | None]:
    cutter, thought, text = StopCutter(stops), "", ""
    for part in [*parts, ChoiceDelta(0, finish="length")]:
        found = cutter.cut(part)
        thought, text = thought + found.thought, text + found.text
        if found.finish:
            return thought, text, found.finish
    raise AssertionError("a stream ends")


@given(
    st.text("ab\n", max_size=20),
    st.text("ab\n", max_size=20),
    st.sets(st.integers(0, 40)),
    st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3),
)
def test_stop_strings_are_cut_off_however_the_stream_is_cut(
    thought: str, text: str, borders: set[int], stops: list[str]
) -> None:
    def parts_of(whole: str, name: str) -> list[ChoiceDelta]:
        places = [0, *sorted(border % (len(whole) + 1) for border in borders), len(whole)]
        return [ChoiceDelta(0)._replace(**{name: whole[start:end]}) for start, end in pairwise(places)]

    def before(whole: str) -> str:
        ends = [(whole.index(stop) + len(stop), whole.index(stop)) for stop in stops if stop in whole]
        return whole[: min(ends)[1]] if ends else whole

    expected = (thought, before(text)) if before(thought) == thought else (before(thought), "")
    found = cut([*parts_of(thought, "thought"), *parts_of(text, "text")], stops)
    stopped = expected != (thought, text)
    assert found == (*expected, "stop" if stopped else "length")


async def test_requests_leave_nothing_of_the_sampling_to_the_models_folder() -> None:
    """W4, T6: vLLM truncates unasked, and leaves out tags that are control tokens."""
    async with (
        DoubleServer(ThinkingDouble(brief), owned_by="vllm") as server,
        OpenAIModel(server.url) as model,
    ):
        await model.ready()
        server.bodies.clear()
        await in_order(model, [Ask(prompt, 0.7, 50, 1) for prompt in PROMPTS])
        await in_order(Reasoner(model), [Ask(prompt, 0.7, 50, 1) for prompt in PROMPTS])
    for body in server.bodies:
        assert (body["top_k"], body["top_p"], body["min_p"]) == (0, 1.0, 0.0)
        assert body["skip_special_tokens"] is False


async def test_what_the_user_asks_for_has_the_last_word_and_others_are_not_told_what_only_vllm_knows() -> (
    None
):
    ask = Ask(QUESTION, 0.7, 50, 1)
    async with (
        DoubleServer(towers_double(), owned_by="vllm") as server,
        OpenAIModel(server.url, options=Options(extra={"top_k": 5})) as model,
    ):
        await in_order(model, [ask])
        assert server.bodies[-1]["top_k"] == 5
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        await in_order(model, [ask])
        assert not {"top_k", "skip_special_tokens"} & set(server.bodies[-1])


@pytest.mark.parametrize(
    ("last", "goes_on"),
    [
        (Message("assistant", "<think>a</think>"), True),
        (Message("assistant", "<think></think>4"), True),
        (Message("assistant", "</think>"), True),
        (Message("assistant", "<think>a"), False),
        (Message("assistant", "<think>a</think>b<think>"), False),
        (Message("assistant", "hello"), False),
        (Message("user", "<think>a</think>"), False),
    ],
)
async def test_a_chat_that_ends_in_a_closed_thought_is_asked_for_as_a_stream(
    last: Message, goes_on: bool
) -> None:
    """W3: vLLM puts the answer into `reasoning` otherwise."""
    prompt = (Message("user", QUESTION), last)
    assert goes_on_after_thinking(prompt) == goes_on
    async with (
        DoubleServer(ThinkingDouble(brief), owned_by="vllm") as server,
        OpenAIModel(server.url) as model,
    ):
        await in_order(model, [Ask(prompt, 0.0, 50, 1)])
    assert server.bodies[-1]["stream"] is goes_on


def drawn(rng: random.Random, tokens: int, vocabulary: int, peaked: float, guessed: float) -> list[Token]:
    """Tokens of one's own distributions, a share of them put in without regard to these."""
    found = []
    for _ in range(tokens):
        weights = [math.exp(peaked * rng.gauss(0, 1)) for _ in range(vocabulary)]
        total = sum(weights)
        logprobs = [math.log(weight / total) for weight in weights]
        which = (
            rng.randrange(vocabulary)
            if rng.random() < guessed
            else rng.choices(range(vocabulary), weights)[0]
        )
        top = sorted(
            ((str(number), logprob) for number, logprob in enumerate(logprobs)), key=lambda pair: -pair[1]
        )
        found.append(Token(str(which), logprobs[which], tuple(top[:5])))
    return found


@pytest.mark.parametrize("vocabulary", [2, 20, 200])
@pytest.mark.parametrize("peaked", [0.1, 3.0, 12.0])
def test_honest_samples_are_not_taken_for_spoiled_ones(vocabulary: int, peaked: float) -> None:
    assert not spoiled(drawn(random.Random(1), 1200, vocabulary, peaked, 0.0))


@pytest.mark.parametrize("vocabulary", [20, 200])
def test_guesses_among_the_samples_are_found(vocabulary: int) -> None:
    """W5: n-gram speculation on the CPU build."""
    assert spoiled(drawn(random.Random(1), 1200, vocabulary, 12.0, 0.05))
    assert spoiled([Token("a", -35.0)])
    assert not spoiled([]) and not spoiled([Token("a", None)])

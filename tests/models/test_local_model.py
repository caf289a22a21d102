"""A model of transformers in this process, on ponder: the same numbers as llama.cpp, the same text in any company, and what is inside.

`make test-local`: torch and transformers in a virtual environment of their own.
"""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from surefoot.agents.reasoning import (
    Control,
    Cues,
    Direction,
    Elastic,
    Exit,
    ProbeExit,
    Reasoner,
    StatesAt,
    SteeringVector,
    StreamState,
    Thought,
    ThoughtStates,
    Watch,
)
from surefoot.agents.reasoning.exit_calibration import ExitCalibration
from surefoot.agents.reasoning.exit_labels import Problem, collect_exits
from surefoot.agents.reasoning.probes import Probing
from surefoot.errors import BadInput
from surefoot.models import (
    Ask,
    Draw,
    Message,
    ModelUnavailable,
    Piece,
    Prompt,
    in_order,
    open_model,
    whole_stream,
)
from surefoot.models.embedded import WEIGHTS
from surefoot.models.local import CompressedKV, Head, LocalModel, NoLocalModel
from surefoot.models.streaming import AddedVector, Streaming
from surefoot.training.ponder.problems import several

pytestmark = pytest.mark.local

PONDER = WEIGHTS / "ponder"
CUES = Cues(reflection=("wait", "hmm"), transition=("alternatively",), separator="\n")
PROBING = Probing(inducer="", tokens=8)
DRAW = Draw(prompt="7*3+8-5 mod 10=", temperature=1.0, max_tokens=480, seed=1)


class Begun(Control, Watch):
    """Says when a stream has begun."""

    name = "begun"

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def watch(self, draw: Draw, model: Streaming) -> Watch:
        return self

    async def see(self, state: StreamState, piece: Piece, thoughts: Sequence[Thought]) -> None:
        self.event.set()


@pytest.fixture
async def model() -> AsyncIterator[LocalModel]:
    async with LocalModel(PONDER, threads=1, slots=8) as opened:
        yield opened


def prompts(count: int, difficulty: str = "chain3") -> list[str]:
    return [problem.prompt for problem in several(difficulty, count, random.Random(3))]


async def raw(model: LocalModel, draw: Draw) -> str:
    """Return what the model writes, tags included."""
    whole = await whole_stream(model, draw)
    return f"<think>{whole.thought}</think>{whole.text}"


async def read(model: LocalModel, draw: Draw, pieces: int) -> list[Piece]:
    """Return the first pieces of a stream, which is then closed."""
    found = []
    async with aclosing(model.stream(draw)) as stream:
        async for piece in stream:
            found.append(piece)
            if len(found) == pieces:
                break
    return found


async def test_its_probabilities_are_those_of_llama_cpp(model: LocalModel) -> None:
    """The file of llama.cpp has 8 bits a weight: it differed by 0.0012 at most on 40 beginnings."""
    rng = random.Random(0)
    texts = [
        await raw(model, replace(DRAW, prompt=prompt, seed=seed)) for seed, prompt in enumerate(prompts(12))
    ]
    farthest = 0.0
    async with open_model("ponder") as served:
        for prompt, text in zip(prompts(12), texts, strict=True):
            begun = text[: rng.randrange(len("<think>"), text.index("</think>"))]
            draw = replace(DRAW, prompt=prompt, begun=begun, max_tokens=1, top_logprobs=5)
            here, there = [
                (await whole_stream(each, draw)).tokens[0] for each in (model, cast(Streaming, served))
            ]
            theirs = dict(there.top)
            assert here.top[0][0] == there.top[0][0]
            for token, logprob in here.top:
                farthest = max(farthest, abs(math.exp(logprob) - math.exp(theirs.get(token, -99.0))))
    assert farthest < 0.003


async def test_a_text_is_the_same_in_any_company(model: LocalModel) -> None:
    asks = [Ask(prompt, 1.0, 480, seed) for seed, prompt in enumerate(prompts(40))]
    together = await in_order(model, asks)
    alone = [(await in_order(model, [ask]))[0] for ask in asks[::4]]
    assert alone == together[::4]
    assert len({sample.tokens for sample in together}) > 20


async def test_another_seed_is_another_text_and_temperature_0_has_no_seed(model: LocalModel) -> None:
    one, other = [(await whole_stream(model, replace(DRAW, seed=seed))).thought for seed in (1, 2)]
    assert one != other
    cold = [replace(DRAW, temperature=0.0, max_tokens=60, seed=seed) for seed in (1, 2)]
    assert len({(await whole_stream(model, draw)).thought for draw in cold}) == 1


async def test_the_bill_is_what_was_made_and_read(model: LocalModel) -> None:
    whole = await whole_stream(model, DRAW)
    (sample,) = await in_order(model, [Ask(DRAW.prompt, 1.0, 480, 1)])
    assert sample.text == whole.text and sample.finish == "stop"
    assert sample.usage == whole.usage._replace(reasoning=sample.usage.reasoning)
    assert sample.usage.prompt == len(str(DRAW.prompt))
    # The answer, a digit, and the end.
    assert sample.usage.completion - sample.usage.reasoning == len(whole.text) + 3
    broken = await read(model, DRAW, 5)
    assert sum(piece.usage.completion for piece in broken) == 5


async def test_limits_stops_and_the_end_of_the_context(model: LocalModel) -> None:
    short = await whole_stream(model, replace(DRAW, max_tokens=7))
    assert (short.finish, short.usage.completion) == ("length", 7)
    stopped = await whole_stream(model, replace(DRAW, stop=("\nso",)))
    assert stopped.finish == "stop" and "\n" not in stopped.thought
    nothing = await whole_stream(model, replace(DRAW, max_tokens=0))
    assert (nothing.finish, nothing.usage.completion) == ("length", 0)
    filled = "<think>" + "wait A7*3=1 so 1\n" * 29
    full = await whole_stream(model, replace(DRAW, begun=filled))
    assert full.usage.prompt + full.usage.completion <= 512
    assert (await read(model, DRAW, 1))[0].room == 512 - len(str(DRAW.prompt)) - 1


async def test_a_bias_forbids_a_token(model: LocalModel) -> None:
    letters = await model.tokenize("wha")
    forbidden = await whole_stream(
        model, replace(DRAW, logit_bias=tuple((letter, -100.0) for letter in letters))
    )
    assert not set("wha") & set(forbidden.thought)


async def test_a_text_goes_on_from_what_has_begun_as_if_it_had_never_stopped(model: LocalModel) -> None:
    whole = await raw(model, DRAW)
    rest = await whole_stream(model, replace(DRAW, begun=whole[: whole.index("\n") + 1]))
    assert whole == whole[: whole.index("\n") + 1] + rest.thought + "</think>" + rest.text


async def test_messages_go_through_the_chat_template(model: LocalModel) -> None:
    chat: Prompt = (Message("user", str(DRAW.prompt)),)
    assert (await whole_stream(model, replace(DRAW, prompt=chat))).thought == (
        await whole_stream(model, DRAW)
    ).thought


async def test_streams_that_wait_for_nothing_give_their_rows_away() -> None:
    """Two rows, five streams that are all open while a sixth is drawn to its end."""
    async with LocalModel(PONDER, threads=1, slots=2) as model:
        expected = [await raw(model, replace(DRAW, seed=seed)) for seed in range(6)]
        streams = [model.stream(replace(DRAW, seed=seed)) for seed in range(5)]
        begun = [await anext(stream) for stream in streams]
        assert [piece.usage.completion for piece in begun] == [1] * 5
        assert await raw(model, replace(DRAW, seed=5)) == expected[5]
        for stream, text in zip(streams, expected, strict=False):
            rest = [piece async for piece in stream]
            written = (
                "".join(piece.thought for piece in rest) + "</think>" + "".join(piece.text for piece in rest)
            )
            assert "<think>" + written == text


async def test_a_reasoner_leaves_early_and_a_cancelled_one_frees_its_row(model: LocalModel) -> None:
    reasoner = Reasoner(model, Elastic(40, 8), answer_tokens=8, think_tokens=460, cues=CUES)
    state = await reasoner.think(Ask(str(DRAW.prompt), 1.0, 8, 1))
    assert state.ended_by == "budget" and state.text.strip().isdecimal()
    begun = Begun()
    task = asyncio.create_task(Reasoner(model, begun, cues=CUES).think(Ask(str(DRAW.prompt), 1.0, 8, 2)))
    await begun.event.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    samples = await in_order(model, [Ask(prompt, 1.0, 480, 1) for prompt in prompts(20)])
    assert all(sample.finish == "stop" for sample in samples)


def by_transformers(folder: Path, text: str) -> Any:
    """Return the states of a text, (layers + 1, tokens, width), by transformers' own pass and attention."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    ids = AutoTokenizer.from_pretrained(folder)(text, add_special_tokens=False, return_tensors="pt")
    with torch.inference_mode():
        states = network(ids["input_ids"], output_hidden_states=True).hidden_states
    return torch.stack(states)[:, 0].numpy()


async def test_states_are_those_of_transformers(model: LocalModel) -> None:
    pieces = await read(model, replace(DRAW, layers=(1, 2)), 30)
    text = str(DRAW.prompt) + "<think>" + "".join(piece.thought for piece in pieces)
    states, first = by_transformers(PONDER, text), len(str(DRAW.prompt)) - 1
    for place, piece in enumerate(pieces):
        for layer, state in zip((1, 2), piece.states, strict=True):
            assert list(state) == pytest.approx(states[layer, first + place].tolist(), rel=1e-3, abs=1e-2)


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
async def test_query_heads_that_share_keys_and_other_networks(kind: str, tmp_path: Path) -> None:
    """Random weights: two key-value heads for four query heads; a window as long as the text over one of the two changes nothing."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "vocab_size": 259}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
    config = AutoConfig.for_model(kind, **sizes, **heads, max_position_embeddings=128, eos_token_id=256)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    for path in PONDER.glob("tokenizer*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    draw = replace(DRAW, prompt="abc" * 10, layers=(1,), max_tokens=1)
    expected = by_transformers(tmp_path, str(draw.prompt))
    async with LocalModel(tmp_path, threads=1) as model:
        (begun,) = await read(model, draw, 1)
        assert list(begun.states[0]) == pytest.approx(expected[1, -1].tolist(), rel=1e-3, abs=1e-4)
        assert model.shape.bytes(10) == 2 * 10 * 2 * 2 * 16 * 4
        cold = replace(draw, temperature=0.0, max_tokens=60)
        async with model.compressed(CompressedKV({Head(1, 1), Head(2, 0)}, 4, 124)) as other:
            assert (await whole_stream(other, cold)).text == (await whole_stream(model, cold)).text


async def test_a_vector_is_added_at_ends_of_thoughts_of_its_own_row_alone(model: LocalModel) -> None:
    """A batch of which every second text is steered: the others are as they are without."""
    vector = AddedVector(2, tuple(300.0 * (-1) ** number for number in range(128)), "\n")
    draws = [replace(DRAW, prompt=prompt, max_tokens=80) for prompt in prompts(6)]
    plain = [await whole_stream(model, draw) for draw in draws]
    mixed = await asyncio.gather(
        *(
            whole_stream(model, replace(draw, added=vector if number % 2 else None))
            for number, draw in enumerate(draws)
        )
    )
    same = [one.thought == other.thought for one, other in zip(plain, mixed, strict=True)]
    assert same == [True, False] * 3
    # Up to the first line break nothing was added.
    assert all(
        one.thought.split("\n")[0] == other.thought.split("\n")[0]
        for one, other in zip(plain, mixed, strict=True)
    )


async def test_a_window_as_long_as_the_text_changes_nothing_and_a_short_one_does(model: LocalModel) -> None:
    every = model.shape.every
    wide, narrow = CompressedKV(every, 8, 504), CompressedKV(every, 2, 8)
    plain = [await raw(model, replace(DRAW, seed=seed)) for seed in range(4)]
    async with model.compressed(wide) as kept, model.compressed(narrow) as cut:
        assert [await raw(kept, replace(DRAW, seed=seed)) for seed in range(4)] == plain
        assert [await raw(cut, replace(DRAW, seed=seed)) for seed in range(4)] != plain


async def test_windows_are_those_of_a_mask_over_the_whole_cache(model: LocalModel) -> None:
    """Reading a text at once, under a mask, gives what writing it token by token gives, from a ring."""
    kv = CompressedKV({Head(1, 3), Head(2, 0), Head(3, 1)}, 4, 12)
    async with model.compressed(kv) as cut:
        pieces = await read(cut, replace(DRAW, layers=(3,)), 60)
        begun = "<think>" + "".join(piece.thought for piece in pieces[:59])
        (again,) = await read(cut, replace(DRAW, layers=(3,), begun=begun), 1)
    assert again.states[0] == pytest.approx(list(pieces[59].states[0]), rel=1e-3, abs=1e-2)


async def test_exits_by_hidden_states_are_calibrated_and_taken(model: LocalModel, tmp_path: Path) -> None:
    problems = several("sum4", 60, random.Random(5))
    at = StatesAt("before", (3,))

    def reasoner(*controls: Control) -> Reasoner:
        return Reasoner(model, *controls, answer_tokens=8, think_tokens=460, cues=CUES)

    collected = await collect_exits(
        reasoner,
        [Problem(problem.prompt, problem.answer) for problem in problems],
        probing=PROBING,
        temperature=1.0,
        states=at,
    )
    assert {len(event.states) for event in collected.forced} == {128}
    found = ExitCalibration.of(
        collected.forced, model.name, 0.5, probing=PROBING, states=at, digest=await model.digest()
    )
    found.write(tmp_path / "exits.json")
    rule = ProbeExit(tmp_path / "exits.json")
    assert rule.calibration == found
    states = [await reasoner(Exit(rule)).think(Ask(problem.prompt, 1.0, 8, 1)) for problem in problems[:20]]
    assert any(state.ended_by == "exit(probe 0.5)" for state in states)


async def test_a_direction_is_learned_and_added(model: LocalModel) -> None:
    learned = ThoughtStates((2,), CUES)
    reasoner = Reasoner(model, learned, answer_tokens=8, think_tokens=460, cues=CUES)
    for prompt in prompts(20):
        await reasoner.think(Ask(prompt, 1.0, 8, 1))
    found: Direction = learned.direction(2)
    assert found.execution > 20 and found.other > 20 and len(found.values) == 128
    steered = Reasoner(model, SteeringVector(found, 0.4), answer_tokens=8, think_tokens=460, cues=CUES)
    state = await steered.think(Ask(prompts(1)[0], 1.0, 8, 1))
    assert state.draw.added is not None and state.finish == "stop"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"layers": (4,)}, "layers 1 to 3"),
        ({"added": AddedVector(2, (1.0,), "\n")}, "128 numbers"),
        ({"added": AddedVector(2, (1.0,) * 128, "\n\n")}, "no token of this model ends with"),
        ({"logit_bias": ((999, -1.0),)}, "tokens 0 to 258"),
        ({"prompt": "1" * 600}, "1 to 511 tokens"),
        ({"prompt": ""}, "1 to 511 tokens"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_what_the_model_cannot_read_is_refused(
    model: LocalModel, change: dict[str, object], says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        await whole_stream(model, replace(DRAW, **change))  # type: ignore[arg-type]
    assert (await whole_stream(model, DRAW)).finish == "stop"


async def test_an_address_opens_it_and_a_folder_without_a_model_does_not(tmp_path: Path) -> None:
    async with open_model(f"local:{PONDER}") as opened:
        assert opened.name == f"local:{PONDER}"
        (sample,) = await in_order(opened, [Ask(str(DRAW.prompt), 0.0, 20, 1)])
        assert sample.tokens == 20
    with pytest.raises(BadInput, match="no folder with a model"):
        async with open_model(f"local:{tmp_path}"):
            pass
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(NoLocalModel, match="cannot be loaded"):
        async with open_model(f"local:{tmp_path}"):
            pass


async def test_a_closed_model_says_so() -> None:
    model = LocalModel(PONDER)
    with pytest.raises(ModelUnavailable, match="is not open"):
        await whole_stream(model, DRAW)

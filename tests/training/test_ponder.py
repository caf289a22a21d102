"""ponder: its problems, its training traces, its files, and what it does when it is served."""

import hashlib
import json
import math
import random
import re
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from surefoot import BadInput, Message
from surefoot.agents.reasoning.exit_labels import read_problems
from surefoot.models.base import Ask
from surefoot.models.connect import open_model
from surefoot.models.embedded import WEIGHTS
from surefoot.models.embedded.llama_cpp import EmbeddedServer
from surefoot.models.streaming import Draw, whole_stream
from surefoot.training.pebble.card import between_marks
from surefoot.training.ponder import card, data
from surefoot.training.ponder.evaluate import separation
from surefoot.training.ponder.problems import (
    DIFFICULTIES,
    TrainingProblem,
    answer_of,
    draw,
    held_out,
    several,
)
from surefoot.training.ponder.steps import mistakes, steps_of

HERE = WEIGHTS / "ponder"
OPEN, CLOSE = data.TAGS
LINE = re.compile(
    r"([A-F]\d[-+*]\d(\+1)?=\d+ ?){1,3}|so \d+"
    r"|(wait|hmm|alternatively) ([A-F]\d[-+*]\d(\+1)?=\d+ )+so \d+|done"
)
seeds = st.integers(0, 2**32)
difficulties = st.sampled_from(DIFFICULTIES)


# Problems


@given(difficulties, seeds)
def test_an_answer_is_what_the_prompt_asks_for(difficulty: str, seed: int) -> None:
    problem = draw(difficulty, random.Random(seed))
    if difficulty.startswith("sum"):
        a, b = problem.prompt.removesuffix("=").split("+")
        assert problem.answer == str(int(a) + int(b))
    else:
        value = int(problem.prompt[0])
        for sign, operand in re.findall(r"([-+*])(\d)", problem.prompt):
            value = {"+": value + int(operand), "-": value - int(operand), "*": value * int(operand)}[sign]
        assert problem.answer == str(value % 10)


@given(difficulties, seeds)
def test_training_and_evaluation_never_share_a_problem(difficulty: str, seed: int) -> None:
    assert held_out(draw(difficulty, random.Random(seed)).prompt)
    assert not held_out(draw(difficulty, random.Random(seed), training=True).prompt)


@given(difficulties, seeds)
def test_the_same_seed_draws_the_same_problem(difficulty: str, seed: int) -> None:
    assert draw(difficulty, random.Random(seed)) == draw(difficulty, random.Random(seed))


def test_there_are_a_thousand_different_problems_of_every_difficulty() -> None:
    for difficulty in DIFFICULTIES:
        rng = random.Random(difficulty)
        assert len({draw(difficulty, rng).prompt for _ in range(2500)}) > 1000


def test_problems_are_printed_as_a_calibration_reads_them(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "surefoot.training.ponder.problems", "chain6", "40", "--seed", "7"]
    printed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    (tmp_path / "problems.jsonl").write_bytes(printed)
    expected = several("chain6", 40, random.Random(7))
    found = read_problems(tmp_path / "problems.jsonl")
    assert [(problem.prompt, problem.answer) for problem in found] == [pair[:2] for pair in expected]
    assert len({problem.prompt for problem in expected}) == 40


def test_an_unknown_difficulty_is_refused() -> None:
    with pytest.raises(BadInput, match="'sum9'"):
        draw("sum9", random.Random(0))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("115", "115"),
        (" 115\n", "115"),
        ("<think>A8+7=15 so 5\ndone\n</think>115", "115"),
        ("<think></think>115", "115"),
        ("A8+7=15\n</think>115", "115"),
        ("<think>A8+7=15 so 115\n", None),
        ("<think>so 115\n</think>", None),
        ("so 115", None),
        ("", None),
    ],
)
def test_the_answer_is_what_stands_after_the_thoughts(text: str, answer: str | None) -> None:
    assert answer_of(text) == answer


# Traces


def thinking(difficulty: str, seed: int) -> tuple[TrainingProblem, data.Thinking]:
    rng = random.Random(seed)
    problem = draw(difficulty, rng)
    return problem, data.think(steps_of(problem), rng)


@given(difficulties, seeds)
def test_thoughts_are_lines_that_end_in_conclusions(difficulty: str, seed: int) -> None:
    problem, (text, conclusions) = thinking(difficulty, seed)
    assert text.endswith("\ndone\n")
    for line in text.splitlines():
        assert LINE.fullmatch(line.rstrip()), line
    concluded = re.findall(r"so (\d+)\n", text)
    assert concluded == [steps_of(problem).conclude(claims) for _, claims in conclusions]
    assert all(
        text[:end].endswith(f"so {said}\n") for (end, _), said in zip(conclusions, concluded, strict=True)
    )


@given(difficulties, seeds)
def test_claims_without_mistakes_amount_to_the_answer(difficulty: str, seed: int) -> None:
    problem, (_, conclusions) = thinking(difficulty, seed)
    steps = steps_of(problem)
    for _, claims in conclusions:
        if not mistakes(steps, claims):
            assert steps.conclude(claims) == problem.answer


@given(difficulties, seeds)
def test_every_example_fits_and_ends_in_an_answer(difficulty: str, seed: int) -> None:
    rng = random.Random(seed)
    problem = draw(difficulty, rng, training=True)
    example = data.example(problem, rng)
    assert len(data.tokens(problem.prompt + example.text)) < data.CONTEXT
    assert example.text.count(OPEN) == example.text.count(CLOSE) == 1
    assert answer_of(example.text) is not None
    assert "".join(piece.text for piece in example.pieces if not piece.weight) in (
        *("", CLOSE),
        *(f"{before}{data.GUIDANCE}{CLOSE}" for before in ("", "\n")),
    )


@given(difficulties, seeds)
def test_thoughts_that_end_by_themselves_are_followed_by_the_last_conclusion(
    difficulty: str, seed: int
) -> None:
    rng = random.Random(seed)
    example = data.example(draw(difficulty, rng, training=True), rng)
    if len(example.pieces) == 1:
        thoughts, _, answer = example.text.partition(CLOSE)
        assert re.findall(r"so (\d+)\n", thoughts)[-1] == answer


def by_rechecks(difficulty: str, count: int) -> list[float]:
    """The share of right conclusions after 0, 1, ... re-checks."""
    rights: list[list[bool]] = [[] for _ in range(7)]
    for seed in range(count):
        problem, (_, conclusions) = thinking(difficulty, seed)
        steps = steps_of(problem)
        for found, (_, claims) in zip(rights, conclusions, strict=False):
            found.append(steps.conclude(claims) == problem.answer)
    return [sum(found) / len(found) for found in rights]


@pytest.mark.parametrize(("difficulty", "low", "high"), [("sum2", 0.87, 0.95), ("chain6", 0.55, 0.72)])
def test_the_first_recheck_repairs_and_later_ones_ruin(difficulty: str, low: float, high: float) -> None:
    shares = by_rechecks(difficulty, 800)
    assert low < shares[0] < high
    assert shares[1] > shares[0] + 0.5 * (1 - shares[0])
    assert shares[5] < shares[1] - 0.04


def test_the_number_of_rechecks_has_nothing_to_do_with_being_right() -> None:
    counts: dict[bool, list[int]] = {True: [], False: []}
    for seed in range(3000):
        problem, (_, conclusions) = thinking("sum4", seed)
        right = steps_of(problem).conclude(conclusions[0].claims) == problem.answer
        counts[right].append(len(conclusions) - 1)
    means = {right: sum(found) / len(found) for right, found in counts.items()}
    assert abs(means[True] - means[False]) < 0.35
    assert 4 < means[True] < 5


def test_an_early_answer_is_right_in_half_of_the_cases_with_a_mistake() -> None:
    rng = random.Random(1)
    problem = TrainingProblem("48+67=", "115", "sum2")
    wrong, right = data.Conclusion(0, (14, 11)), data.Conclusion(0, (15, 11))
    drawn = Counter(data.early_answer(problem, [right, wrong], rng) for _ in range(2000))
    assert set(drawn) == {"115", "114"}
    assert 0.45 < drawn["115"] / 2000 < 0.55
    assert {data.early_answer(problem, [wrong, right], rng) for _ in range(50)} == {"115"}


def test_tags_are_tokens_of_their_own() -> None:
    assert data.tokens("1<think>2</think>") == [49, data.OPEN, 50, data.CLOSE]


def test_examples_without_a_problem_are_rare_and_think_too() -> None:
    strange = [example for example in islice(data.examples(3), 2000) if example.problem.difficulty == "none"]
    assert 5 < len(strange) < 50
    assert {answer_of(example.text) for example in strange} == {"0"}


# Files


def gguf_metadata(path: Path) -> dict[str, Any]:
    def string() -> str:
        (length,) = struct.unpack("<Q", file.read(8))
        return file.read(length).decode()

    def value(kind: int) -> Any:
        if kind == 8:
            return string()
        if kind == 9:
            inner, count = struct.unpack("<IQ", file.read(12))
            return [value(inner) for _ in range(count)]
        form = {4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q"}[kind]
        return struct.unpack(form, file.read(struct.calcsize(form)))[0]

    with path.open("rb") as file:
        entries = struct.unpack("<4sIQQ", file.read(24))[3]
        found = {}
        for _ in range(entries):
            name = string()
            found[name] = value(struct.unpack("<I", file.read(4))[0])
    return found


def test_the_tokenizers_for_vllm_and_llama_cpp_agree_and_show_the_tags() -> None:
    described = json.loads((HERE / "tokenizer.json").read_text())
    vocabulary = described["model"]["vocab"]
    metadata = gguf_metadata(HERE / "ponder.gguf")
    assert sorted(vocabulary, key=vocabulary.__getitem__) == metadata["tokenizer.ggml.tokens"]
    special = {token["content"]: token["special"] for token in described["added_tokens"]}
    assert special == {"<eos>": True, OPEN: False, CLOSE: False}
    user_defined = [i for i, kind in enumerate(metadata["tokenizer.ggml.token_type"]) if kind == 4]
    assert user_defined == [data.OPEN, data.CLOSE]
    settings = json.loads((HERE / "tokenizer_config.json").read_text())
    assert settings["chat_template"] == metadata["tokenizer.chat_template"]


def test_the_card_shows_what_was_measured_on_the_shipped_weights() -> None:
    measured = json.loads(card.MEASURED.read_text())
    assert between_marks(card.CARD.read_text()) == card.render(measured)
    assert measured["sha256"] == hashlib.sha256((HERE / "ponder.gguf").read_bytes()).hexdigest()
    assert measured["parameters"] <= 700_000
    assert {row["difficulty"] for row in measured["rows"]} == set(DIFFICULTIES)
    assert all(row["problems"] >= 1000 for row in measured["rows"])


def test_the_card_says_that_it_overthinks() -> None:
    for row in json.loads(card.MEASURED.read_text())["rows"]:
        concluded = [entry["concluded"] for entry in row["by_rechecks"]]
        assert concluded[1] - concluded[0] > max(concluded[6] - concluded[3], 0), (
            "the first re-check is the one that pays"
        )
        assert (concluded[0] > row["at_once"]) == (row["difficulty"] != "sum2"), (
            "sums of two digits need no thought"
        )


# Served


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(name="ponder") as server:
        yield server


def write(server: EmbeddedServer, prompt: str, **more: object) -> dict[str, Any]:
    body = {"prompt": prompt, "temperature": 0, "max_tokens": 480, **more}
    reply = httpx.post(f"{server.url}/completions", json=body, timeout=60).raise_for_status()
    choice: dict[str, Any] = reply.json()["choices"][0]
    return choice


async def test_most_problems_are_answered_right_and_thoughts_stay_in_the_client() -> None:
    rng = random.Random(11)
    problems = [draw("sum2", rng) for _ in range(24)]
    async with open_model("ponder") as model:
        asks = [Ask(problem.prompt, 0.6, 480, seed) for seed, problem in enumerate(problems)]
        samples = {position: sample async for position, sample in model.sample(asks)}
    assert {sample.finish for sample in samples.values()} <= {"stop", "length"}
    finished = {position: sample.text for position, sample in samples.items() if sample.finish == "stop"}
    assert len(finished) > 20
    assert all(re.fullmatch(r"\d+", text) for text in finished.values())
    assert sum(answer_of(text) == problems[position].answer for position, text in finished.items()) > 14


async def test_a_chat_is_answered_like_a_text() -> None:
    async with open_model("ponder") as model:
        asked = Draw(prompt="48+67=", temperature=0.0, max_tokens=60, seed=0)
        asks = [asked, replace(asked, prompt=(Message("user", "48+67="),))]
        text, chat = [await whole_stream(model, ask) for ask in asks]
    assert (text.thought, text.text) == (chat.thought, chat.text)
    assert text.thought.startswith("A8+7=15 B4+6+1=11\nso 115\n")


def test_llama_cpp_reads_the_tags_as_single_tokens_and_shows_them(server: EmbeddedServer) -> None:
    root = server.url.removesuffix("/v1")
    text = f"48+67={OPEN}A8+7=15\n{CLOSE}115"
    ids = httpx.post(f"{root}/tokenize", json={"content": text}).json()["tokens"]
    assert ids == data.tokens(text)
    assert httpx.post(f"{root}/detokenize", json={"tokens": ids}).json()["content"] == text


def test_it_answers_at_once_where_the_thoughts_are_closed_for_it(server: EmbeddedServer) -> None:
    for begun in (OPEN + CLOSE, f"{OPEN}A8+7=15 B4+6+1=11\nso 115\n{data.GUIDANCE}{CLOSE}"):
        choice = write(server, "48+67=" + begun)
        assert re.fullmatch(r"\d{3}", choice["text"])
        assert choice["finish_reason"] == "stop"
    assert choice["text"] == "115"


def logits(text: str) -> np.ndarray:
    """Compute with the checkpoint in Hugging Face layout as its config says, in float64."""
    config = json.loads((HERE / "config.json").read_text())
    weights = {
        name: values.astype(np.float64) for name, values in load_file(HERE / "model.safetensors").items()
    }
    ids, heads, size = data.tokens(text), config["num_attention_heads"], config["head_dim"]

    def normed(x: np.ndarray, name: str) -> np.ndarray:
        scale = np.sqrt((x**2).mean(axis=-1, keepdims=True) + config["rms_norm_eps"])
        return x / scale * weights[f"{name}.weight"]

    angles = np.outer(np.arange(len(ids)), config["rope_theta"] ** -(np.arange(0, size, 2) / size))
    cosine, sine = (np.tile(f(angles), 2)[:, None] for f in (np.cos, np.sin))

    def rotated(x: np.ndarray) -> np.ndarray:
        first, second = np.split(x, 2, axis=2)
        return x * cosine + np.concatenate([-second, first], axis=2) * sine

    x = weights["model.embed_tokens.weight"][ids]
    for number in range(config["num_hidden_layers"]):
        own = f"model.layers.{number}"
        y = normed(x, f"{own}.input_layernorm")
        q, k, v = (
            (y @ weights[f"{own}.self_attn.{name}_proj.weight"].T).reshape(len(ids), heads, size)
            for name in "qkv"
        )
        scores = np.einsum("ihd,jhd->hij", rotated(q), rotated(k)) / math.sqrt(size)
        shares = np.exp(scores - scores.max(axis=2, keepdims=True)) * np.tri(len(ids))
        shares /= shares.sum(axis=2, keepdims=True)
        mixed = np.einsum("hij,jhd->ihd", shares, v).reshape(len(ids), -1)
        x = x + mixed @ weights[f"{own}.self_attn.o_proj.weight"].T
        y = normed(x, f"{own}.post_attention_layernorm")
        gate = y @ weights[f"{own}.mlp.gate_proj.weight"].T
        up = y @ weights[f"{own}.mlp.up_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ weights[f"{own}.mlp.down_proj.weight"].T
    found: np.ndarray = normed(x, "model.norm") @ weights["lm_head.weight"].T
    return found


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_greedy_tokens_and_their_probabilities_are_those_of_the_checkpoint(
    server: EmbeddedServer, difficulty: str
) -> None:
    """The served weights have 8 bits: where two tokens are as likely as each other, either may win."""
    rng = random.Random(5)
    for _ in range(3):
        prompt = draw(difficulty, rng).prompt
        choice = write(server, prompt, logprobs=1, max_tokens=100)
        found = logits(prompt + choice["text"])
        logarithms = found - np.log(np.exp(found).sum(axis=1, keepdims=True))
        for place, token in enumerate(choice["logprobs"]["content"], start=len(data.tokens(prompt)) - 1):
            assert abs(math.exp(token["logprob"]) - math.exp(logarithms[place, token["id"]])) < 0.1
            assert logarithms[place, token["id"]] > logarithms[place].max() - 0.5


# The measure of the card


def test_separation_is_the_chance_that_a_right_one_is_above_a_wrong_one() -> None:
    assert separation([0.9, 0.8], [0.1, 0.2]) == 1
    assert separation([0.5], [0.5]) == 0.5
    assert separation([0.1, 0.9], [0.5]) == 0.5
    assert separation([], [0.5]) is None

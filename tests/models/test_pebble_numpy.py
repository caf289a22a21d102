"""pebble in numpy: the network, what it draws, and the processes that it runs in."""

import asyncio
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from threadpoolctl import threadpool_limits

from surefoot import Ask, BadInput, Message, ModelUnavailable, OpenAIModel, Sample, Towers
from surefoot.models.connect import open_model
from surefoot.models.embedded import PEBBLES, WEIGHTS, pool
from surefoot.models.embedded.draws import uniform
from surefoot.models.embedded.inference import CONTEXT, Network
from surefoot.models.embedded.llama_cpp import NAME, EmbeddedServer, embedded_options
from surefoot.models.embedded.pool import NumpyPebble
from surefoot.tools.towers.board import optimal_length
from surefoot.training.pebble import data

SPARE_TOKENS = 16
UNSURE = "ABC"
"""A prompt that pebble was never trained on, so that its answers differ."""


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    # As in the workers: on a busy machine BLAS threads wait for each other ten times as long as they compute.
    with threadpool_limits(1):
        yield Network()


def steps(disks: int, count: int, temperature: float = 0.0, *, move_only: bool = False) -> list[Ask]:
    """Asks for random steps of the shortest solution, view after view, guessed right."""
    rng = random.Random(f"{disks} {move_only}")
    found = []
    for number in range(count):
        step = rng.randrange(optimal_length(disks))
        example = data.path_example(disks, step, number % 3, move_only=move_only)
        limit = disks + SPARE_TOKENS
        found.append(Ask(example.prompt, temperature, limit, 1000 * disks + number, example.answer))
    return found


def unguessed(asks: Sequence[Ask]) -> list[Ask]:
    return [ask._replace(guess=None) for ask in asks]


def in_parts(network: Network, asks: Sequence[Ask], size: int) -> list[Sample]:
    found: list[Sample] = []
    for first in range(0, len(asks), size):
        found += network.complete(asks[first : first + size])
    return found


async def gather(model: NumpyPebble | OpenAIModel, asks: Sequence[Ask]) -> list[Sample]:
    """Every sample in its place; each place must be filled once."""
    found: dict[int, Sample] = {}
    async for position, sample in model.sample(asks):
        assert position not in found
        found[position] = sample
    assert sorted(found) == list(range(len(asks)))
    return [found[position] for position in range(len(asks))]


def plain_logits(text: bytes) -> np.ndarray:
    """Read the checkpoint as model.py does, one text in float64 and nothing folded."""
    config = json.loads((WEIGHTS / "pebble" / "config.json").read_text())
    weights = {
        name: value.astype(np.float64)
        for name, value in load_file(WEIGHTS / "pebble" / "model.safetensors").items()
    }
    heads, length = config["num_attention_heads"], len(text)
    size = config["hidden_size"] // heads

    def normed(x: np.ndarray, name: str) -> np.ndarray:
        return (
            x
            / np.sqrt((x**2).mean(axis=1, keepdims=True) + config["rms_norm_eps"])
            * weights[f"{name}.weight"]
        )

    angles = np.outer(np.arange(length), config["rope_theta"] ** -(np.arange(0, size, 2) / size))
    cosine, sine = (np.tile(f(angles), 2)[:, None] for f in (np.cos, np.sin))

    def rotated(x: np.ndarray) -> np.ndarray:
        first, second = np.split(x, 2, axis=2)
        return x * cosine + np.concatenate([-second, first], axis=2) * sine

    x = weights["model.embed_tokens.weight"][list(text)]
    for number in range(config["num_hidden_layers"]):
        own = f"model.layers.{number}"
        y = normed(x, f"{own}.input_layernorm")
        q, k, v = (
            (y @ weights[f"{own}.self_attn.{name}_proj.weight"].T).reshape(length, heads, size)
            for name in "qkv"
        )
        scores = np.einsum("ihd,jhd->hij", rotated(q), rotated(k)) / math.sqrt(size)
        scores = np.where(np.tri(length) > 0, scores, -np.inf)
        shares = np.exp(scores - scores.max(axis=2, keepdims=True))
        shares /= shares.sum(axis=2, keepdims=True)
        mixed = np.einsum("hij,jhd->ihd", shares, v).reshape(length, -1)
        x = x + mixed @ weights[f"{own}.self_attn.o_proj.weight"].T
        y = normed(x, f"{own}.post_attention_layernorm")
        gate = y @ weights[f"{own}.mlp.gate_proj.weight"].T
        up = y @ weights[f"{own}.mlp.up_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ weights[f"{own}.mlp.down_proj.weight"].T
    logits: np.ndarray = normed(x, "model.norm") @ weights["lm_head.weight"].T
    return logits


@pytest.mark.parametrize("text", [steps(20, 1)[0].prompt, UNSURE, "z" * 200, "Ü\x00" * 30])
def test_the_network_computes_what_the_checkpoint_says(network: Network, text: str) -> None:
    right = plain_logits(text.encode())
    tokens = np.array([list(text.encode())] * 2)
    logits, _ = network.read(tokens, 0)
    assert np.abs(logits[0] - right).max() < 1e-3
    last, _ = network.read(tokens, tokens.shape[1] - 1)
    assert np.abs(last[1, 0] - right[-1]).max() < 1e-3


@pytest.mark.parametrize("guessed", [True, False])
def test_steps_of_every_tower_are_answered_right(network: Network, guessed: bool) -> None:
    asks = [
        ask
        for disks in range(1, 21)
        for move_only in (False, True)
        for ask in steps(disks, 6, move_only=move_only)
    ]
    samples = network.complete(asks if guessed else unguessed(asks))
    assert [sample.text for sample in samples] == [ask.guess for ask in asks]
    assert {sample.finish for sample in samples} == {"stop"}


async def test_greedy_answers_and_their_tokens_are_those_of_llama_cpp(network: Network) -> None:
    asks = [ask for disks in (1, 2, 5, 9, 14, 20) for ask in unguessed(steps(disks, 10))]
    asks += [
        Ask(example.prompt, 0.0, 40, 0) for example, _ in zip(data.examples(seed=6), range(30), strict=False)
    ]
    asks += [Ask(ask.prompt, 0.0, 4, 0) for ask in asks[:5]]
    with EmbeddedServer() as server:
        async with OpenAIModel(server.url, NAME, options=embedded_options()) as model:
            theirs = [(await gather(model, [ask]))[0] for ask in asks]
    ours = network.complete(asks)
    assert [(mine.text, mine.finish) for mine in ours] == [(its.text, its.finish) for its in theirs]
    assert [mine.usage.prompt for mine in ours] == [its.usage.prompt for its in theirs]
    assert [mine.usage.completion for mine in ours] == [its.usage.completion for its in theirs]


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_a_sample_is_the_same_whatever_was_guessed_and_whatever_came_along(
    network: Network, temperature: float
) -> None:
    """Equal to the last letter; in 28,000 samples like these float32 rounding has not once made a difference."""
    rng = random.Random(7)
    asks = [ask for disks in (3, 10, 20) for ask in steps(disks, 50, temperature)]
    asks += [Ask(UNSURE, temperature, 20, number) for number in range(20)]
    rng.shuffle(asks)

    def spoiled(ask: Ask) -> Ask:
        guess = ask.guess or "aAB"
        at = rng.randrange(len(guess))
        return ask._replace(guess=guess[:at] + "Z" + guess[at + 1 :])

    garbage = ["", "\x00", "Ü" * 30, "A" * 500, "\ud800", "aAB;"]
    right = in_parts(network, unguessed(asks), 24)
    assert in_parts(network, asks, 24) == right
    assert in_parts(network, [spoiled(ask) for ask in asks], 24) == right
    assert in_parts(network, [ask._replace(guess=rng.choice(garbage)) for ask in asks], 24) == right
    known = [ask._replace(guess=sample.text) for ask, sample in zip(asks, right, strict=True)]
    assert in_parts(network, known, len(asks)) == right
    assert in_parts(network, asks, 1) == right
    assert in_parts(network, unguessed(asks[::-1]), 11)[::-1] == right
    wrong = sum(sample.text != ask.guess for sample, ask in zip(right, asks, strict=True))
    assert wrong > (0 if temperature < 2 else 25)


@pytest.mark.parametrize("prompt", [UNSURE, "aAB;A"])
def test_first_tokens_come_as_often_as_the_softmax_says(network: Network, prompt: str) -> None:
    draws = 6000
    logits = plain_logits(prompt.encode())[-1] / 2.0
    chances = np.exp(logits - logits.max())
    chances /= chances.sum()
    asks = [Ask(prompt, 2.0, 1, seed) for seed in range(draws)]
    seen = Counter(sample.text for sample in network.complete(asks))
    expected = {chr(token): draws * chances[token] for token in range(128) if draws * chances[token] >= 5}
    assert len(expected) > 5
    rest = draws - sum(expected.values())
    pairs = [(seen[text], count) for text, count in expected.items()]
    pairs.append((draws - sum(count for count, _ in pairs), max(rest, 1.0)))
    statistic = sum((count - wanted) ** 2 / wanted for count, wanted in pairs)
    freedom = len(pairs) - 1
    assert statistic < freedom + 5 * math.sqrt(2 * freedom)


def test_random_numbers_of_neighbouring_seeds_and_positions_are_unrelated() -> None:
    numbers = uniform(np.arange(400, dtype=np.uint64)[:, None], np.arange(400))
    assert numbers.min() >= 0 and numbers.max() < 1 and len(np.unique(numbers)) == numbers.size
    assert abs(numbers.mean() - 0.5) < 5 / math.sqrt(12 * numbers.size)
    for shifted in (
        numbers[1:, :-1] * numbers[:-1, 1:],
        numbers[1:] * numbers[:-1],
        numbers[:, 1:] * numbers[:, :-1],
    ):
        assert abs(shifted.mean() - 0.25) < 0.005


@pytest.mark.parametrize("guessed", [True, False])
def test_the_limit_cuts_an_answer_off(network: Network, guessed: bool) -> None:
    (whole,) = steps(10, 1)
    assert whole.guess is not None
    asks = [whole._replace(max_tokens=limit) for limit in range(1, len(whole.guess) + 2)]
    samples = network.complete(asks if guessed else unguessed(asks))
    for ask, sample in zip(asks[:-1], samples, strict=False):
        assert (sample.text, sample.finish) == (whole.guess[: ask.max_tokens], "length")
        assert sample.tokens == sample.usage.completion == ask.max_tokens
    assert (samples[-1].text, samples[-1].finish) == (whole.guess, "stop")
    assert samples[-1].tokens == len(whole.guess) + 1 and samples[-1].usage.prompt == len(whole.prompt)


def test_an_answer_ends_where_the_context_does(network: Network) -> None:
    asks = [Ask("A" * length, 2.0, 1000, length) for length in (CONTEXT - 1, CONTEXT - 9)]
    samples = network.complete(asks)
    assert samples[0].tokens == 1
    assert all(sample.tokens is not None and sample.tokens <= 9 for sample in samples)


async def test_the_pool_answers_every_ask_once_and_as_the_network_does(network: Network) -> None:
    asks = steps(20, 60, 2.0) + unguessed(steps(7, 60, 2.0))
    async with NumpyPebble(2, chunk=7) as model:
        assert await gather(model, asks) == network.complete(asks)
        calls = [asks[first : first + 3] for first in range(0, len(asks), 3)]
        found = await asyncio.gather(*(gather(model, call) for call in calls))
        assert [sample for call in found for sample in call] == network.complete(asks)
        assert await gather(model, []) == []


async def test_closing_early_takes_back_what_was_not_begun() -> None:
    many = unguessed(steps(20, 12_000, 2.0))
    async with NumpyPebble(1) as model:
        async with aclosing(model.sample(many)) as samples:
            await anext(samples)
        async with asyncio.timeout(15):
            # All of the others would take the worker half a minute.
            few = await gather(model, steps(20, 3))
    assert [sample.text for sample in few] == [ask.guess for ask in steps(20, 3)]


async def test_it_opens_by_its_address_and_reads_chats_too() -> None:
    assert PEBBLES == (NAME, pool.NAME)
    task = Towers(10, "compact")
    async with open_model("pebble-numpy") as model:
        assert model.name == "pebble-numpy"
        prompt = task.ask(task.start())
        assert isinstance(prompt, str)
        chat = (Message("system", prompt[:5]), Message("user", prompt[5:]))
        asks = [Ask(prompt, 0.0, 40, 0), Ask(chat, 0.0, 40, 0), Ask("Zürich 河 ", 2.0, 40, 0)]
        found = {position: sample async for position, sample in model.sample(asks)}
    assert task.read(found[0].text, task.start())[0] == (1, 0, 1)
    assert found[1] == found[0]
    assert found[2].usage.prompt == len("Zürich 河 ".encode())


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (Ask("", 0.0, 1, 0), "1 to 255 bytes, not of 0"),
        (Ask("x" * CONTEXT, 0.0, 1, 0), "not of 256"),
        (Ask("\ud800", 0.0, 1, 0), "reads text"),
        (Ask("x", 0.0, 0, 0), "max_tokens is at least 1"),
        (Ask("x", -1.0, 1, 0), "temperature at least 0"),
    ],
)
async def test_what_it_cannot_read_is_refused_in_a_sentence(ask: Ask, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        await gather(NumpyPebble(1), [ask])


async def test_sizes_below_one_are_refused() -> None:
    for build in (lambda: NumpyPebble(0), lambda: NumpyPebble(chunk=-1)):
        with pytest.raises(BadInput, match="at least 1"):
            build()


def children(parent: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(folder.name))
    return found


def alive(number: int) -> bool:
    try:
        return (Path("/proc") / str(number) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_a_killed_worker_is_said_in_a_sentence_and_no_ask_waits_for_ever() -> None:
    before = set(children(os.getpid()))
    async with NumpyPebble(2) as model, asyncio.timeout(60):
        victim = min(set(children(os.getpid())) - before)
        async with aclosing(model.sample(unguessed(steps(20, 500)))) as answers:
            await anext(answers)
            os.kill(victim, signal.SIGKILL)
            with pytest.raises(
                ModelUnavailable, match=r"worker process of pebble-numpy has ended \(exit status -9"
            ):
                # What the other worker has said by then still comes.
                async for _ in answers:
                    pass
        with pytest.raises(ModelUnavailable, match="has ended"):
            await gather(model, steps(20, 1))
    assert set(children(os.getpid())) <= before


async def test_a_worker_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "safetensors.py").write_text("raise ImportError('no such luck')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModelUnavailable, match="no such luck"):
        async with NumpyPebble(1):
            pass


async def test_after_the_block_it_is_closed() -> None:
    model = NumpyPebble(1)
    with pytest.raises(ModelUnavailable, match="not open"):
        await gather(model, steps(3, 1))
    async with model:
        pass
    with pytest.raises(ModelUnavailable, match="was closed"):
        await gather(model, steps(3, 1))


def test_workers_end_when_their_parent_is_killed_in_the_middle_of_work() -> None:
    code = (
        "import asyncio\n"
        "from surefoot import Ask\n"
        "from surefoot.models.embedded.pool import NumpyPebble\n"
        "async def main():\n"
        "    async with NumpyPebble(2) as model:\n"
        "        async for _ in model.sample([Ask('---;AabcBC>', 2.0, 100, seed) for seed in range(100000)]):\n"
        "            print('at work', flush=True)\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None and parent.stdout.readline() == b"at work\n"
    workers = children(parent.pid)
    parent.kill()
    parent.wait(timeout=10)
    parent.stdout.close()
    assert len(workers) == 2
    deadline = time.monotonic() + 20
    while any(map(alive, workers)):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.01)


def test_a_worker_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import surefoot.models.embedded.worker; print('gguf' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"

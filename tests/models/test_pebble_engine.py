"""What makes pebble's network in numpy fast: known beginnings of prompts, and products in bfloat16 where they leave no doubt."""

import random
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from surefoot import Ask, Sample
from surefoot.models.embedded.arithmetic import Bfloat16, Float32
from surefoot.models.embedded.draws import choose_tokens, sure_tokens
from surefoot.models.embedded.inference import Network
from surefoot.models.embedded.prefix_cache import BLOCK, BLOCKS, PrefixCache
from surefoot.models.embedded.worker import complete
from surefoot.training.pebble import data

DISKS = 12


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    # As in the workers: on a busy machine BLAS threads wait for each other ten times as long as they compute.
    with threadpool_limits(1):
        yield Network()


@pytest.fixture(scope="module")
def rounding() -> Network:
    return Network(Bfloat16())


def neighbours(count: int, temperature: float) -> list[Ask]:
    """Asks for steps one after the other, view after view, guessed right, as a run asks for them."""
    examples = [data.path_example(DISKS, 700 + number // 3, number % 3) for number in range(count)]
    return [
        Ask(example.prompt, temperature, DISKS + 16, 77 * number, example.answer)
        for number, example in enumerate(examples)
    ]


def tokens(asks: Sequence[Ask]) -> np.ndarray:
    """Prompts and guesses, which are of one length."""
    return np.array([list((str(ask.prompt) + str(ask.guess)).encode()) for ask in asks])


def test_a_prompt_of_which_the_beginning_is_known_gets_the_same_logits(network: Network) -> None:
    asks = neighbours(60, 0.3)
    for _ in range(4):
        network.complete(asks)  # each time one more block of every prompt is learned
    prompts = [str(ask.prompt).encode() for ask in asks]
    known = [network.prefixes.find(prompt) for prompt in prompts]
    assert min(map(len, known)) >= 4
    texts, first = tokens(asks), len(prompts[0]) - 1
    whole = network.read(texts, first)[0].copy()
    for blocks in (1, 4):
        kept = network.prefixes.load([numbers[:blocks] for numbers in known])
        assert kept.shape[2] == blocks * BLOCK
        logits, _ = network.read(texts, first, kept)
        assert np.abs(logits - whole).max() < 1e-3


def test_samples_do_not_depend_on_what_was_asked_before(network: Network) -> None:
    asks = neighbours(90, 2.0)
    asks += [ask._replace(guess=None, seed=ask.seed + 1) for ask in asks[:30]]
    fresh = Network().complete(asks)
    network.complete(asks[::-1])
    assert network.complete(asks) == fresh
    assert len({sample.text for sample in fresh}) > 30


def test_a_block_is_found_by_all_that_comes_before_it() -> None:
    cache = PrefixCache(layers=2, width=3)
    kept = np.arange(2 * 12 * 3, dtype=np.float32).reshape(2, 12, 3)
    prompt = b"abcdefghijkl"
    assert cache.find(prompt) == []
    cache.learn(prompt, 0, kept)
    cache.learn(prompt, 1, kept)
    assert len(cache.find(prompt)) == 2
    assert len(cache.find(prompt[:5])) == len(cache.find(b"abcdeXgh")) == 1
    assert cache.find(b"Xbcdefghi") == []
    loaded = cache.load([cache.find(prompt)])
    assert np.array_equal(loaded[:, 0], kept[:, :8])


def test_the_last_token_of_a_prompt_is_always_read() -> None:
    cache = PrefixCache(layers=1, width=1)
    kept = np.zeros((1, 8, 1), np.float32)
    for known in (0, 1):
        cache.learn(b"abcdefgh", known, kept)
    assert len(cache.find(b"abcdefgh")) == 1
    assert cache.find(b"abcd") == []


def test_a_full_cache_forgets_everything_between_two_calls_and_nothing_within_one() -> None:
    cache = PrefixCache(layers=1, width=1)
    kept = np.zeros((1, 8, 1), np.float32)
    prompts = [f"{number:04d}more".encode() for number in range(BLOCKS + 1)]
    for prompt in prompts:
        cache.learn(prompt, 0, kept)
    assert cache.find(prompts[0]) == [0] and cache.find(prompts[-2]) == [BLOCKS - 1]
    assert cache.find(prompts[-1]) == []
    cache.make_room(1)
    assert cache.find(prompts[0]) == []
    cache.learn(prompts[-1], 0, kept)
    cache.make_room(1)
    assert cache.find(prompts[-1]) == [0]


def test_bfloat16_moves_the_logits_of_answers_by_little_and_no_more_in_a_batch(
    network: Network, rounding: Network
) -> None:
    asks = neighbours(24, 0.3)
    texts, first = tokens(asks), len(asks[0].prompt) - 1
    exact = network.read(texts, first)[0].copy()
    rounded = rounding.read(texts, first)[0].copy()
    assert 0 < np.abs(rounded - exact).max() < 0.5
    alone = rounding.read(texts[:1], first)[0]
    assert np.abs(alone - rounded[:1]).max() < 0.01


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0])
def test_right_guesses_are_beyond_doubt(rounding: Network, temperature: float) -> None:
    asks = neighbours(60, temperature)
    assert [sample and sample.text for sample in rounding.certain(asks)] == [ask.guess for ask in asks]


def test_a_guess_that_is_not_drawn_or_may_not_be_is_left_open(rounding: Network) -> None:
    (right,) = neighbours(1, 0.3)
    assert right.guess is not None
    open_asks = [
        right._replace(guess=None),
        right._replace(guess=""),
        right._replace(guess=right.guess[:-1]),
        right._replace(guess=right.guess + "a"),
        right._replace(guess="Z" + right.guess[1:]),
        right._replace(max_tokens=len(right.guess)),
        Ask("ABC", 2.0, 20, 1, "A"),
    ]
    assert rounding.certain(open_asks) == [None] * len(open_asks)
    assert rounding.certain([right, *open_asks, right])[-1] == rounding.complete([right])[0]
    assert rounding.certain([]) == []


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
def test_with_bfloat16_first_the_samples_are_those_of_float32(
    network: Network, rounding: Network, temperature: float
) -> None:
    rng = random.Random(3)
    asks = neighbours(90, temperature)
    asks += [ask._replace(guess=None) for ask in asks[:9]]
    asks += [ask._replace(guess="aAB;" + str(ask.guess)[4:]) for ask in asks[:30]]
    asks += [Ask("".join(rng.choices("ABCab;>", k=12)), temperature, 20, seed, "aAB") for seed in range(30)]
    rng.shuffle(asks)
    right: list[Sample] = network.complete(asks)
    assert complete(asks, network, rounding) == complete(asks, network, None) == right
    sure = [sample for sample in rounding.certain(asks) if sample is not None]
    assert 0 < len(sure) < len(asks)


@given(
    seed=st.integers(0, 2**32 - 1),
    temperature=st.sampled_from([0.0, 0.1, 0.3, 1.0, 3.0]),
    margin=st.floats(0.1, 5.0),
    spread=st.floats(0.5, 20.0),
)
def test_a_sure_token_is_drawn_whatever_the_logits_are_within_the_margin(
    seed: int, temperature: float, margin: float, spread: float
) -> None:
    rng = np.random.default_rng(seed)
    logits = (rng.standard_normal((40, 12)) * spread).astype(np.float32)
    temperatures, at = np.full(40, temperature, np.float32), rng.random(40)
    sure = sure_tokens(logits, temperatures, at, margin)
    found = np.flatnonzero(sure >= 0)
    # The likeliest lower and all others higher by half of it is the worst, short of the last bits.
    worst = logits + np.float32(0.499 * margin)
    worst[found, sure[found]] -= np.float32(0.998 * margin)
    moved = logits + (rng.uniform(-0.499, 0.499, logits.shape) * margin).astype(np.float32)
    for changed in (logits, worst, moved):
        assert np.array_equal(choose_tokens(changed, temperatures, at)[found], sure[found])


def test_a_token_is_sure_where_it_stands_out_and_open_where_it_does_not() -> None:
    logits = np.array([[10, 0, 0], [10, 9.5, 0], [10, 0, 0]], np.float32)
    at = np.array([0.5, 0.1, 0.9999])
    assert sure_tokens(logits, np.ones(3, np.float32), at, 1.0).tolist() == [0, -1, -1]
    assert sure_tokens(logits, np.zeros(3, np.float32), at, 1.0).tolist() == [0, -1, 0]


@pytest.mark.parametrize("arithmetic", [Float32(), Bfloat16()])
def test_products_are_those_of_their_arithmetic(arithmetic: Float32 | Bfloat16) -> None:
    rng = np.random.default_rng(1)
    for rows in (50, 7, 90):  # a buffer is used again, by fewer rows and by more
        x, weights = (rng.standard_normal(shape, dtype=np.float32) for shape in ((rows, 128), (128, 257)))
        operand = arithmetic.operand(x)
        for name in ("one", "another"):
            product = arithmetic.product(operand, arithmetic.matrix(weights), name)
            assert product.shape == (rows, 257) and product.dtype == np.float32
            assert np.abs(product - x @ weights).max() < 0.25


def test_whether_bfloat16_pays_is_a_plain_yes_or_no() -> None:
    assert Bfloat16.available() in (True, False)

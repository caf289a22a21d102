"""pebble's products in bfloat16 beside float32: how far logits move, which samples would differ, and what it saves.

python bench/precision.py [--asks 100000] [--nonsense 1200] [--results bench/results]

Boards are random steps of 12 to 20 disks, mostly 20, guessed right, half of them at temperature 0.3 and half at 1.  Nonsense is letters
at random, with what bfloat16 would answer for a guess, which is the worst case: an error of its own confirms itself.
"""

import random
import time
from collections.abc import Iterator, Sequence

import numpy as np
from pages import options, origin, shown, table, write
from rich.console import Console
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from surefoot.models.base import Ask
from surefoot.models.embedded.arithmetic import Bfloat16
from surefoot.models.embedded.inference import MARGIN, Network
from surefoot.models.embedded.pool import CHUNK
from surefoot.models.embedded.worker import complete
from surefoot.training.pebble import data
from surefoot.voting.samples import Sample

HEIGHT, SPARE = 20, 16
READ_EVERY = 20
"""Logits are compared in one chunk of so many."""


def boards(count: int) -> Iterator[list[Ask]]:
    """Yield chunks of asks, each of one height and temperature."""
    rng = random.Random(0)
    for number in range(0, count, CHUNK):
        disks = HEIGHT if number == 0 or rng.random() < 0.8 else rng.randrange(12, HEIGHT)
        temperature = (0.3, 1.0)[number // CHUNK % 2]
        chunk = []
        for _ in range(min(CHUNK, count - number)):
            example = data.path_example(disks, rng.randrange(2**disks - 1), rng.randrange(3))
            seed = rng.randrange(2**63)
            chunk.append(Ask(example.prompt, temperature, disks + SPARE, seed, example.answer))
        yield chunk


def nonsense(count: int, quick: Network) -> Iterator[list[Ask]]:
    """Yield chunks of asks that mean nothing, with what bfloat16 answers for a guess."""
    rng = random.Random(1)
    for number in range(0, count, CHUNK):
        chunk = [
            Ask("".join(rng.choices("ABCabcdefghijklmnopqrst;>", k=rng.randrange(5, 60))), 0.3, 40, seed)
            for seed in range(number, min(number + CHUNK, count))
        ]
        answers = quick.complete(chunk)
        yield [ask._replace(guess=answer.text) for ask, answer in zip(chunk, answers, strict=True)]


def moved(asks: Sequence[Ask], network: Network, quick: Network) -> float:
    """Return how far the difference of any logit to the likeliest one moves, at most, over the answers of asks of one shape."""
    texts = np.array([list((str(ask.prompt) + str(ask.guess)).encode()) for ask in asks])
    exact, rounded = (one.read(texts, len(asks[0].prompt) - 1)[0] for one in (network, quick))
    likeliest = exact.argmax(axis=2)[..., None]
    exact, rounded = (logits - np.take_along_axis(logits, likeliest, 2) for logits in (exact, rounded))
    return float(np.abs(exact - rounded).max())


def differing(found: Sequence[Sample | None], right: Sequence[Sample]) -> int:
    """Return how many of the samples that are beyond doubt are not those of float32."""
    return sum(sample not in (None, other) for sample, other in zip(found, right, strict=True))


def measure(asks: int, few: int) -> Iterator[tuple[str, str]]:
    """Yield what was measured and its figure."""
    network, quick = Network(), Network(Bfloat16())
    wrong = left_open = different = 0
    furthest, exact_s, both_s = 0.0, [], []
    for number, chunk in enumerate(boards(asks)):
        began = time.process_time()
        right = network.complete(chunk)
        between = time.process_time()
        both = complete(chunk, network, quick)
        if chunk[0].max_tokens == HEIGHT + SPARE:
            exact_s.append((between - began) / len(chunk))
            both_s.append((time.process_time() - between) / len(chunk))
        found = quick.certain(chunk)
        different += differing(found, right) + (both != right)
        left_open += found.count(None)
        wrong += sum(sample.text != ask.guess for sample, ask in zip(right, chunk, strict=True))
        if number % READ_EVERY == 0:
            furthest = max(furthest, moved(chunk, network, quick))
    yield f"{asks:,} boards: samples of float32 that are wrong", f"{wrong}"
    yield "of bfloat16 that differ from them", f"{different}"
    yield f"left to float32, with a margin of {MARGIN:g}", f"{left_open}"
    yield f"a difference of logits moves, at most, in one chunk of {READ_EVERY}", f"{furthest:.2f}"
    yield f"least CPU an ask at {HEIGHT} disks: float32", f"{min(exact_s) * 1e6:.0f} µs"
    yield "bfloat16 first", f"{min(both_s) * 1e6:.0f} µs"
    sure = different = 0
    for chunk in nonsense(few, quick):
        found = quick.certain(chunk)
        sure += len(found) - found.count(None)
        different += differing(found, network.complete(chunk))
    yield f"{few:,} prompts without sense: taken from bfloat16", f"{sure}"
    yield "of these other than float32's", f"{different}"


def main() -> None:
    """Measure, print, write the page."""
    parser = options(__doc__, "precision.md")
    parser.add_argument("--asks", type=int, default=100_000)
    parser.add_argument("--nonsense", type=int, default=1200)
    arguments = parser.parse_args()
    with threadpool_limits(1):
        rows = list(measure(arguments.asks, arguments.nonsense))
    Console().print(shown("Bfloat16 beside float32", ("", ""), rows))
    head = f"# Bfloat16 beside float32\n\n{origin('precision', arguments.results)}\n\n"
    write(arguments.results, "precision.md", head + table(("", ""), rows) + "\n")


if __name__ == "__main__":
    main()

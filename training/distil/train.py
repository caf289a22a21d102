"""Train a micro model on the verdicts of a task: `python -m surefoot.training.distil.train EXAMPLES.jsonl... --out FOLDER`.

    surefoot run columns --factors 8127 9034 --model http://large/v1 --job teacher
    surefoot export teacher --table examples --to examples.jsonl
    python -m surefoot.training.distil.train examples.jsonl --out micro
    surefoot run columns --factors 5512 7719 --model micro:micro

The model is of pebble's kind, smaller, and knows this task alone.  One prompt in ten is kept from it, and its error on these is measured through
llama.cpp, as it will be served.
"""

import argparse
import asyncio
import json
import math
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from surefoot.errors import BadInput, SurefootError
from surefoot.models import Ask, Message
from surefoot.models.connect import MICRO, open_model
from surefoot.models.embedded import llama_cpp
from surefoot.models.embedded.worker_protocol import EOS, tokens
from surefoot.training.pebble.export import CHAT_TEMPLATE, Identity, export
from surefoot.training.pebble.model import Pebble, Shape
from surefoot.training.pebble.train import TokenRow, train

from .examples import LONGEST, DistilExample, as_text, is_held_out, read_examples, shared_instructions

WIDTH, LAYERS, HEADS = 96, 4, 4
STEPS, BATCH, CHUNK, ADAM_LR = 3000, 64, 32, 0.003
ESCAPED = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
"""Within quotes of a template."""
MEASURED = 2000
"""Held-out prompts that are asked at most."""
TOGETHER = 64


class DistilReport(NamedTuple):
    """What a training took, and what came of it."""

    prompts: int
    """Different ones, those that were kept for measuring included."""
    ambiguous: int
    """Of these, with more than one answer: the most frequent one is learned."""
    parameters: int
    seconds: float
    cpu_seconds: float
    asked: int
    """Prompts that it never saw, each asked once at temperature 1."""
    wrong: int


def identity_of(examples: Sequence[DistilExample]) -> Identity:
    """Return the sizes of a model for these examples; `BadInput` for texts that are too long for one."""
    known = shared_instructions(examples)
    longest = max(len((as_text(each.messages, known) + each.answer).encode()) for each in examples)
    if longest > LONGEST:
        raise BadInput(f"a micro model reads {LONGEST:,} bytes at most; the longest example has {longest:,}")
    shape = Shape(
        width=WIDTH,
        layers=LAYERS,
        heads=HEADS,
        hidden=32 * -(-WIDTH * 11 // 4 // 32),  # whole blocks of q8_0
        positions=max(64, 2 ** math.ceil(math.log2(longest + 1))),
    )
    return Identity(llama_cpp.MICRO, shape, chat=leaving_out(known) if known else CHAT_TEMPLATE)


def leaving_out(texts: Sequence[str]) -> str:
    """Return a chat template without these system messages.

    It names them, and leaves no other one out: into a template that writes no system message at all llama.cpp puts it as a part of the user's.
    """
    known = ", ".join("'" + text.translate(ESCAPED) + "'" for text in texts)
    shown = f"message['role'] != 'system' or message['content'] not in [{known}]"
    return f"{{% for message in messages %}}{{% if {shown} %}}{{{{ message['content'] }}}}{{% endif %}}{{% endfor %}}"


def rows(texts: Sequence[tuple[str, str]], seed: int) -> Iterator[TokenRow]:
    """Yield the examples without end, in a new order each time; the loss counts the answer and its end."""
    rng = random.Random(f"distil {seed}")
    while True:
        for prompt, answer in rng.sample(texts, len(texts)):
            given, written = tokens(prompt), [*tokens(answer), EOS]
            yield TokenRow(given + written, [0.0] * len(given) + [1.0] * len(written))


def distil(
    examples: Sequence[DistilExample], out: Path, *, steps: int = STEPS, seed: int = 0, ambiguous: int = 0
) -> DistilReport:
    """Train a model, write it to `out` for transformers and for llama.cpp, and measure it on what it was not shown."""
    began, cpu = time.monotonic(), time.process_time()
    identity, known = identity_of(examples), shared_instructions(examples)
    texts = [as_text(each.messages, known) for each in examples]
    kept = [each for each, text in zip(examples, texts, strict=True) if is_held_out(text)]
    shown = [(text, each.answer) for each, text in zip(examples, texts, strict=True) if not is_held_out(text)]
    if not shown:
        raise BadInput("there is nothing to learn from: every prompt is kept for measuring")
    torch.manual_seed(seed)
    model = Pebble(identity.shape)
    train(
        out,
        model,
        rows(shown, seed),
        steps=steps,
        batch=BATCH,
        chunk=CHUNK,
        threads=2,
        limit_s=math.inf,
        muon_lr=None,
        adam_lr=ADAM_LR,
    )
    export(out / "model.safetensors", out, identity)
    took = time.monotonic() - began, time.process_time() - cpu
    asked = random.Random(seed).sample(kept, min(MEASURED, len(kept)))
    wrong = asyncio.run(count_wrong(out, asked))
    parameters = sum(each.numel() for each in model.parameters())
    report = DistilReport(len(examples), ambiguous, parameters, *took, len(asked), wrong)
    (out / "run.json").write_text(json.dumps(report._asdict(), indent=1) + "\n")
    (out / "CARD.md").write_text(card(report, steps, seed))
    return report


async def count_wrong(folder: Path, examples: Sequence[DistilExample], temperature: float = 1.0) -> int:
    """Ask a micro model each prompt once, and return how many answers are other texts than the elected ones."""
    if not examples:
        return 0
    longest = max(len(each.answer.encode()) for each in examples)
    wrong = 0
    async with open_model(f"{MICRO}{folder}") as model:
        for first in range(0, len(examples), TOGETHER):
            part = examples[first : first + TOGETHER]
            asks = [
                Ask(_prompt(each), temperature, longest + 1, seed=first + place)
                for place, each in enumerate(part)
            ]
            async for place, sample in model.sample(asks):
                wrong += sample.text != part[place].answer
    return wrong


def _prompt(example: DistilExample) -> Any:
    if [role for role, _ in example.messages] == [""]:
        return example.messages[0][1]
    return tuple(Message(role, text) for role, text in example.messages)


def card(report: DistilReport, steps: int, seed: int) -> str:
    """Return what a model says of itself."""
    share = f"{report.wrong / report.asked:.2%}" if report.asked else "not measured"
    return f"""# A micro model

Trained by `python -m surefoot.training.distil.train` on {report.prompts:,} prompts with their elected answers, {steps:,} steps, seed {seed}:
{report.cpu_seconds:.0f} s of CPU, {report.seconds:.0f} s by the clock. {report.parameters:,} parameters. It knows the task of these prompts and nothing else.

Wrong on prompts that it was never shown, one sample each at temperature 1: {report.wrong:,} of {report.asked:,} ({share}), as measured against what was elected.
Prompts that had several answers: {report.ambiguous:,}.
"""


def main() -> None:
    """Read the examples, train, and say what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("examples", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        examples, ambiguous = read_examples(given.examples)
        report = distil(examples, given.out, steps=given.steps, seed=given.seed, ambiguous=ambiguous)
    except SurefootError as error:
        parser.exit(2, f"{error}\n")
    print(card(report, given.steps, given.seed))


if __name__ == "__main__":
    main()

"""Measure ponder on problems that training never drew, through its own server: `python -m surefoot.training.ponder.evaluate`.

Every figure is counted over samples.  For each difficulty and temperature: traces as the model writes them when it is left alone;
answers without thoughts; and answers to the same traces closed from outside after each of their first conclusions.
"""

import argparse
import asyncio
import hashlib
import json
import math
import random
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from safetensors.numpy import load_file

from surefoot.models.embedded.llama_cpp import FULL_DISTRIBUTION, EmbeddedServer, weights

from . import card
from .data import TAGS, tokens
from .problems import DIFFICULTIES, TrainingProblem, answer_of, draw

TEMPERATURES = (1.0, 0.6)
MOST_RECHECKS = 6
"""Traces are followed up to so many."""
MOST_TOKENS = 480
TOGETHER, AHEAD = 48, 4
"""Prompts in a request, and requests at a time."""
PATIENCE_S = 600.0

_CONCLUSION = re.compile(r"\bso (\d+)\n")


class Completion(NamedTuple):
    """What the model wrote after a prompt."""

    text: str
    tokens: int
    probability: float
    """Of the whole text, at temperature 1."""
    ended: bool


class Client:
    """Asks a completions endpoint for many samples."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self._url = f"{url}/completions"
        self._http = http
        self._turn = asyncio.Semaphore(AHEAD)

    async def write(self, prompts: Sequence[str], temperature: float) -> list[Completion]:
        """Draw one sample for each prompt."""
        parts = [prompts[first : first + TOGETHER] for first in range(0, len(prompts), TOGETHER)]
        written = await asyncio.gather(*(self._request(part, temperature) for part in parts))
        return [one for part in written for one in part]

    async def _request(self, prompts: Sequence[str], temperature: float) -> list[Completion]:
        body = {"prompt": list(prompts), "temperature": temperature, "max_tokens": MOST_TOKENS, "logprobs": 1}
        async with self._turn:
            reply = await self._http.post(self._url, json={**body, **FULL_DISTRIBUTION})
        choices = sorted(reply.raise_for_status().json()["choices"], key=lambda choice: choice["index"])
        return [_read(choice) for choice in choices]


def _read(choice: dict[str, Any]) -> Completion:
    logprobs = [token["logprob"] for token in choice["logprobs"]["content"]]
    return Completion(
        choice["text"], len(logprobs), math.exp(sum(logprobs)), choice["finish_reason"] == "stop"
    )


def separation(right: Sequence[float], wrong: Sequence[float]) -> float | None:
    """Return the chance that one of `right` is above one of `wrong` (the area under the ROC curve); None if either is empty."""
    if not right or not wrong:
        return None
    ordered = sorted(wrong)
    above = sum(bisect_left(ordered, value) + bisect_right(ordered, value) for value in right)
    return above / (2 * len(right) * len(wrong))


def mean(values: Sequence[float]) -> float | None:
    """Return the mean; None of nothing."""
    return sum(values) / len(values) if values else None


async def measure(client: Client, problems: Sequence[TrainingProblem], temperature: float) -> dict[str, Any]:
    """Return everything that is known about one difficulty at one temperature."""
    answers = [problem.answer for problem in problems]
    traces = await client.write([problem.prompt for problem in problems], temperature)
    at_once = await client.write([problem.prompt + "".join(TAGS) for problem in problems], temperature)
    thoughts = [trace.text.partition(TAGS[1])[0] for trace in traces]
    rechecks = [len(_CONCLUSION.findall(text)) - 1 for text in thoughts]
    return {
        "difficulty": problems[0].difficulty,
        "temperature": temperature,
        "problems": len(problems),
        "accuracy": _share_right(traces, answers),
        "tokens": mean([trace.tokens for trace in traces]),
        "longest": max(trace.tokens for trace in traces),
        "rechecks": mean(rechecks),
        "unfinished": sum(not trace.ended for trace in traces),
        "at_once": _share_right(at_once, answers),
        "at_once_separation": _separation(at_once, answers),
        **await _closed(client, problems, thoughts, temperature),
    }


async def _closed(
    client: Client, problems: Sequence[TrainingProblem], thoughts: Sequence[str], temperature: float
) -> dict[str, Any]:
    """Follow traces from conclusion to conclusion: what it is, what an answer is when thinking is closed there."""
    rows: list[dict[str, Any]] = []
    drawn: list[Completion] = []
    expected: list[str] = []
    for number in range(MOST_RECHECKS + 1):
        there = [
            (problem, text, found[number])
            for problem, text in zip(problems, thoughts, strict=True)
            if len(found := list(_CONCLUSION.finditer(text))) > number
        ]
        parts = [text[: found.end()] for _, text, found in there]
        answers = [problem.answer for problem, _, _ in there]
        prompts = [
            problem.prompt + part + TAGS[1] for (problem, _, _), part in zip(there, parts, strict=True)
        ]
        closed = await client.write(prompts, temperature)
        concluded = [found[1] for _, _, found in there]
        rows.append(
            {
                "rechecks": number,
                "traces": len(there),
                "tokens": mean([len(tokens(part)) for part in parts]),
                "concluded": mean([a == b for a, b in zip(concluded, answers, strict=True)]),
                "answered": _share_right(closed, answers),
            }
        )
        drawn += closed
        expected += answers
    return {"by_rechecks": rows, "separation": _separation(drawn, expected)}


def _rights(written: Sequence[Completion], answers: Sequence[str]) -> list[bool]:
    return [answer_of(one.text) == answer for one, answer in zip(written, answers, strict=True)]


def _share_right(written: Sequence[Completion], answers: Sequence[str]) -> float | None:
    return mean(_rights(written, answers))


def _separation(written: Sequence[Completion], answers: Sequence[str]) -> float | None:
    rights = list(zip(written, _rights(written, answers), strict=True))
    right, wrong = (
        [one.probability for one, is_right in rights if is_right is side] for side in (True, False)
    )
    return separation(right, wrong)


def about(gguf: Path) -> dict[str, Any]:
    """Return what identifies the weights that are measured; the float32 ones lie beside them."""
    content, parameters = gguf.read_bytes(), load_file(gguf.parent / "model.safetensors")
    return {
        "file": gguf.name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "parameters": sum(values.size for values in parameters.values()),
    }


async def evaluate(gguf: Path, problems: int) -> list[dict[str, Any]]:
    """Measure every difficulty at every temperature."""
    rows = []
    with EmbeddedServer(gguf, name="ponder") as server:
        async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
            client = Client(server.url, http)
            for temperature in TEMPERATURES:
                for difficulty in DIFFICULTIES:
                    rng = random.Random(f"{difficulty} for the card")
                    drawn = [draw(difficulty, rng) for _ in range(problems)]
                    rows.append(await measure(client, drawn, temperature))
                    print(
                        {name: value for name, value in rows[-1].items() if name != "by_rechecks"}, flush=True
                    )
    return rows


def main() -> None:
    """Read the command line, measure, and render CARD.md."""
    parser = argparse.ArgumentParser(description="Measure ponder through its own server.")
    parser.add_argument("--gguf", type=Path, default=weights("ponder"))
    parser.add_argument("--out", type=Path, default=card.MEASURED)
    parser.add_argument("--problems", type=int, default=1000, help="problems of each difficulty")
    options = parser.parse_args()
    rows = asyncio.run(evaluate(options.gguf, options.problems))
    options.out.write_text(json.dumps({**about(options.gguf), "rows": rows}, indent=1) + "\n")
    if options.out == card.MEASURED:
        card.main()


if __name__ == "__main__":
    main()

"""Untrusted text is cleaned, fenced and judged in time that grows as it does, whatever it is made of."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import pytest

from surefoot.agents.hygiene import Guard, clean, fence
from surefoot.agents.hygiene.lookalikes import hidden, look, skeleton
from surefoot.models.base import Ask
from surefoot.voting.samples import NOTHING, Sample

Slope = Callable[..., float]

PIECES = {
    "white space": " ", "newlines": "\n", "carriage returns": "\r", "line ends": "\r\n", "wide spaces": "\u00a0", "line separators": "\u2028",
    "quotes": '"', "apostrophes": "'", "backticks": "`", "fences": "```", "fences opened": "```bash\n", "lines": "a line\n", "letters": "a", "digits": "1",
    "square brackets": "[", "round brackets": "(", "angles": "<", "closing angles": ">", "nested tags": "<<<think", "nested halves": "<th<think>ink>",
    "opened": "<think>", "closed": "</think>", "pairs": "<think></thought></think>", "upside down": "</think><think>", "by many names": "<cot><thought>",
    "channels": "<|channel|>analysis", "tokens": "<|im_end|>", "half a token": "<|a", "pipes": "|", "instructions": "[INST]", "systems": "<<SYS>>", "strikes": "<s>",
    "unused": "<unused 1 ", "spaces in tags": "< ", "slashes in tags": "</", "invokes": "<invoke ", "invisible": "\u200b", "joined": "a\u200d", "hidden tags": "\U000e0041",
    "right to left": "\u202e", "controls": "\x1b", "halves of pairs": "\ud800", "marks": "\u0301\u0323", "marks that decompose": "\u0f73\u0301\u0f81",
    "letters with too many marks": "a" + "\u0301" * 40, "composed": "\u00e9", "syllables": "\u1100\u1161\u11a8", "voiced": "\u30c0\u3099", "mixed scripts": "\u0442\u04bb\u0456nk",
    "lookalikes": "\u1438th\u0456nk\u1433", "full width": "\uff1cthink\uff1e", "mathematical": "\U0001d41a", "families": "\U0001f468\u200d\U0001f469", "ligatures": "\ufdfa",
    "entities": "&amp;", "numbered entities": "&#x3c;", "half entities": "&", "percent": "%3C", "percent of percent": "%25", "base64": "PHRoaW5rPg==", "escapes": "\\u003c",
    "backslashes": "\\", "roles on a line": "Assistant: ", "roles on lines": "Assistant:\n", "headings": "## ", "headings of roles": "## user\n", "decoration": "*> _",
    "parentheses": "Assistant(", "quoted lines": "> \n", "places of cuts": "\ufffd",
}  # fmt: skip
BEGUN = {
    "spaces": ("<", " "),
    "one entity": ("&", "amp;"),
    "one token": ("<|", "a"),
    "spaced letters": ("<", "t "),
    "numbers": ("<unused", " "),
    "vendor": ("<", "a"),
    "zeros": ("&#", "0"),
    "role": ("Assistant", " "),
    "heading": ("##", "#"),
    "one letter with marks": ("a", "\u0301"),
}
"""What begins once and goes on for ever."""
FAMILIES = {name: ("", again) for name, again in PIECES.items()} | BEGUN

SMALL = (1 << 10, 1 << 16)
LARGER = (1 << 10, 1 << 16, 1 << 22)
TOGETHER = [list(FAMILIES)[begin::10] for begin in range(10)]
"""Eight at a time, in texts of megabytes: each alone would take minutes."""


def text_of(names: Sequence[str]) -> Callable[[int], str]:
    """A text of one run of each family, all of the same length."""

    def made(size: int) -> str:
        long = size // len(names)
        return "\n".join(
            (first + again * (long // len(again) + 1))[:long]
            for first, again in map(FAMILIES.__getitem__, names)
        )

    return made


@pytest.mark.parametrize("name", FAMILIES)
def test_text_is_cleaned_in_time_that_grows_with_it(name: str, slope: Slope) -> None:
    assert slope(clean, text_of([name]), SMALL) <= 1.1


@pytest.mark.parametrize("names", TOGETHER, ids=lambda names: names[0])
def test_megabytes_are_cleaned_in_time_that_grows_with_them(names: list[str], slope: Slope) -> None:
    """What is quadratic in one run shows in the whole."""
    assert slope(clean, text_of(names), LARGER) <= 1.1


class Says:
    """A judge that says what it is told to, in this process."""

    name = "judge"

    def __init__(self, text: str = "ALLOW") -> None:
        self._text = text

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for place in range(len(asks)):
            yield place, Sample(self._text, "stop", 1, NOTHING)


def halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


def fenced(text: str) -> None:
    content, provenance = halves(text)
    fence(content, "tool", provenance)


def guarded(text: str) -> None:
    assert asyncio.run(Guard(Says()).answer(*halves(text))).allowed


def judged(text: str) -> None:
    assert asyncio.run(Guard(Says(text)).request("?")).reason == "unreadable"


def looked_at(text: str) -> None:
    for character in text:
        look(character)
        hidden(character)


WORKS: dict[str, Callable[[str], Any]] = {
    "thoughts kept": lambda text: clean(text, keep_thoughts=True),
    "fenced, and its source": fenced,
    "a skeleton": skeleton,
    "each character": looked_at,
    "a guard's request and answer": guarded,
    "a guard's verdict": judged,
}
ORDINARY = ("white space", "newlines", "square brackets", "opened", "quotes", "fences opened", "mixed scripts", "joined", "percent", "base64", "marks")  # fmt: skip


@pytest.mark.parametrize("work", WORKS)
def test_whatever_reads_untrusted_text_takes_time_that_grows_with_it(work: str, slope: Slope) -> None:
    assert slope(WORKS[work], text_of(ORDINARY), LARGER) <= 1.1

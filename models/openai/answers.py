"""The answer in what a model has written: raw thoughts never leave the client, whether the server tells them apart or not."""

import re
from collections.abc import Iterator

from surefoot.models.base import Prompt
from surefoot.models.tags import THINK, ThinkParser

_OPEN, _CLOSE, _ = THINK
_TAGS = re.compile(f"({re.escape(_OPEN)}|{re.escape(_CLOSE)})")


def answer_in(text: str, begun: str = "", told: bool = False) -> str:
    """Return what a model has written after its thoughts, and nothing at all if it was still thinking at the end.

    `begun` is what `begun_thinking` returns of the prompt.  `told`: the server has told the thoughts apart itself.  What is
    known to be answer may speak of tags: a closing one in the middle of it is text, at either end it is left over.  A text
    without tags and without anything begun is returned as it is.
    """
    if told and not text.lstrip().startswith(_OPEN):
        return _without_leftovers(text)
    if not begun and _OPEN not in text and _CLOSE not in text:
        return text
    stretches = list(_stretches(text, bool(begun)))
    thinking, _ = stretches[-1]
    if thinking:
        return ""
    return _without_leftovers("".join([said for is_thought, said in stretches if not is_thought]).lstrip())


def _stretches(text: str, thinking: bool) -> Iterator[tuple[bool, str]]:
    """Yield (is thought, text) in order; the last is what the model was at when it stopped."""
    # A closing tag that nothing opened means that all before it was thinking, but only while nothing else says where
    # thinking begins and ends.
    parts = _TAGS.split(text)
    if not thinking:
        first = next((part for part in parts[1::2]), "")
        thinking = first == _CLOSE
    for said, tag in zip(parts[::2], [*parts[1::2], ""], strict=True):
        if tag == _CLOSE and not thinking:
            yield False, said + tag
        else:
            yield thinking, said
        thinking = tag == _OPEN or (thinking and tag != _CLOSE)
    yield thinking, ""


def _without_leftovers(text: str) -> str:
    """Return an answer without closing tags at its ends, where parsers of thoughts forget them."""
    start, end = 0, len(text)
    at = _past_blanks(text, 0, 1)
    while text.startswith(_CLOSE, at):
        start = at = _past_blanks(text, at + len(_CLOSE), 1)
    at = _past_blanks(text, end, -1)
    while at > start and text.endswith(_CLOSE, start, at):
        end = at = _past_blanks(text, at - len(_CLOSE), -1)
    return text[start:end]


def _past_blanks(text: str, at: int, step: int) -> int:
    """Return the first place from `at` on, forwards or backwards, beside which there is no blank."""
    while 0 <= (beside := at if step > 0 else at - 1) < len(text) and text[beside].isspace():
        at += step
    return at


class Leftovers:
    """Does for a stream of answer what `answer_in` does for a whole one: a closing tag at either end is left out."""

    def __init__(self) -> None:
        self._held: list[str] = []
        """What may turn out to be left over."""
        self._complete = False
        """It is a closing tag, and blanks."""
        self._begun = False

    def feed(self, text: str) -> str:
        """Return what is certain to be answer."""
        if self._complete and not text.strip():
            self._held.append(text)
            return ""
        text = self.end_of_answer(tag_too=True) + text
        if not self._begun and text.lstrip().startswith(_CLOSE) and text.strip() != _CLOSE:
            text = text.lstrip().removeprefix(_CLOSE).lstrip()
        keep = text.rfind("<")
        tail = text[keep:] if keep >= 0 else ""
        self._complete = tail.rstrip() == _CLOSE
        if self._complete or (tail and _CLOSE.startswith(tail)):
            self._held, text = [tail], text[:keep]
        self._begun = self._begun or not (not text or text.isspace())
        return text

    def end_of_answer(self, tag_too: bool = False) -> str:
        """Return what was held back, unless it is a closing tag."""
        held = "" if self._complete and not tag_too else "".join(self._held)
        self._held, self._complete = [], False
        return held


def begun_thinking(prompt: Prompt) -> str:
    """Return the text that the model goes on from if a thought is open in it; otherwise nothing."""
    if isinstance(prompt, str):
        text = prompt
    else:
        last = prompt[-1] if prompt else None
        text = last.content if last and last.role == "assistant" else ""
    return text if _OPEN in text and ThinkParser(text).thinking else ""

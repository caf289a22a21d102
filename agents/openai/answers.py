"""The answer in what a model has written: raw thoughts never leave the client, whether the server tells them apart or not."""

from ..model import Prompt
from ..thinking.tags import THINK, ThinkParser

_OPEN, _CLOSE, _ = THINK


def answer(text: str, begun: str = "") -> str:
    """Return what a model has written after its thoughts, and nothing at all if it was still thinking at the end.

    `begun` is what `begun_thinking` returns of the prompt.  A text without tags and without anything begun is returned as
    it is.
    """
    if not begun and _OPEN not in text and _CLOSE not in text:
        return text
    parser, kept = ThinkParser(begun), ""
    for split in [*parser.feed(text), *parser.end()]:
        kept = "" if split.unopened else kept + split.text
    return "" if parser.thinking else kept.lstrip()


def begun_thinking(prompt: Prompt) -> str:
    """Return the text that the model goes on from if a thought is open in it; otherwise nothing."""
    if isinstance(prompt, str):
        text = prompt
    else:
        last = prompt[-1] if prompt else None
        text = last.content if last and last.role == "assistant" else ""
    return text if _OPEN in text and ThinkParser(text).thinking else ""

"""What a vLLM says of itself at `/metrics`, read from Prometheus' text."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

_LINE = re.compile(r"(vllm:\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class VllmFigure(NamedTuple):
    """One figure of one engine."""

    name: str
    labels: str
    """As they are written: most readers need none of them."""
    value: float
    """Finite."""

    def label(self, name: str) -> str | None:
        """Return the value of a label, as it is written; None if it is not there."""
        return next((value for key, value in _LABEL.findall(self.labels) if key == name), None)


def vllm_figures(text: str) -> Iterator[VllmFigure]:
    """Yield vLLM's figures of a Prometheus text; lines that are none, or whose value is no finite number, are passed over."""
    for line in text.splitlines():
        if not line.startswith("vllm:") or (match := _LINE.match(line)) is None:
            continue
        name, labels, raw = match.groups()
        try:
            value = float(raw)
        except ValueError:
            continue
        if math.isfinite(value):
            yield VllmFigure(name, labels or "", value)

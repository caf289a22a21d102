"""Metrics as Prometheus' own parser reads them."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

TIMEOUT_S = 60.0


def text_at(url: str | None) -> str:
    """Return what is served."""
    assert url is not None
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        return str(answer.read().decode())


def samples_at(url: str | None) -> list[Sample]:
    """Return every sample that is served."""
    return [sample for family in text_string_to_metric_families(text_at(url)) for sample in family.samples]

"""The load of a model's server, as it says it itself at `/metrics`: vLLM's own figures, read every few seconds while somebody looks."""

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import httpx

from surefoot.errors import BadInput
from surefoot.models.openai.redaction import redacted_url
from surefoot.models.vllm.figures import vllm_figures
from surefoot.printable import printable

from .texts import LINE, shortened

LOOK_S = 5.0
PATIENCE_S = 3.0
MOST_BYTES = 1 << 23
"""Of an answer; vLLM's have about 100 kB."""
MOST_SERVERS = 50
SUMS = {
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "waiting",
    "vllm:num_preemptions_total": "preempted",
    "vllm:prompt_tokens_total": "prompt_tokens",
    "vllm:generation_tokens_total": "generated_tokens",
    "vllm:prefix_cache_queries_total": "prefix_tokens",
    "vllm:prefix_cache_hits_total": "prefix_hits",
}
"""What is added up over the engines of a server."""
LARGEST = {"vllm:kv_cache_usage_perc": "kv_cache", "vllm:gpu_cache_usage_perc": "kv_cache"}
"""Of which the fullest engine tells; the second is the older name."""
_ADDRESS = re.compile(r"https?://[^\s,#?]+")


class ServerFigures(NamedTuple):
    """A server's figures at a moment."""

    at_s: float
    figures: Mapping[str, float]


def read_metrics(text: str) -> dict[str, float]:
    """Return the figures of a Prometheus text that are shown, by our names; what is no number is left out."""
    found: defaultdict[str, float] = defaultdict(float)
    for figure in vllm_figures(text):
        if figure.name in SUMS:
            found[SUMS[figure.name]] += figure.value
        elif figure.name in LARGEST:
            found[LARGEST[figure.name]] = max(found[LARGEST[figure.name]], figure.value)
    return dict(found)


class VllmServer:
    """One server, and its latest figures; raises `BadInput` for what is no address of one."""

    def __init__(self, address: str) -> None:
        self.url = _metrics_of(address)
        self.shown = redacted_url(address)
        self.trouble = "not asked yet"
        self._before: ServerFigures | None = None
        self._now: ServerFigures | None = None

    @property
    def host(self) -> str:
        """Name and port, by which a job's model is known to be there."""
        return _host(str(self.url))

    async def look(self, client: httpx.AsyncClient) -> None:
        """Read its figures; what goes wrong is told in `view`."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                text = await _text(client, self.url)
        except TimeoutError:
            self._lost(f"no answer within {PATIENCE_S:g} s")
        except (httpx.HTTPError, ValueError) as error:
            self._lost(redacted_url(str(error)) or type(error).__name__)
        else:
            figures = await asyncio.to_thread(read_metrics, text)
            self._before, self._now = self._now, ServerFigures(time.monotonic(), figures)
            self.trouble = "" if figures else "it has no figures of a vLLM at /metrics"

    def view(self) -> dict[str, Any]:
        """Return what the page shows of it."""
        view = {"address": shortened(self.shown, LINE), "host": self.host, "trouble": self.trouble}
        if self.trouble or self._now is None:
            return view
        now = self._now.figures
        return {
            **view,
            **{name: now.get(name) for name in ("running", "waiting", "kv_cache", "preempted")},
            "prompt_s": self._rate("prompt_tokens"),
            "generated_s": self._rate("generated_tokens"),
            "prefix_hits": self._share("prefix_hits", "prefix_tokens"),
        }

    def _lost(self, why: str) -> None:
        self._before = self._now = None
        self.trouble = printable(why)[:LINE]

    def grown(self, name: str) -> float | None:
        """Return by how much a counter grew between the last two looks; None if nobody can tell, as after a restart."""
        if self._before is None or self._now is None:
            return None
        before, now = (each.figures.get(name) for each in (self._before, self._now))
        return None if before is None or now is None or now < before else now - before

    def _rate(self, name: str) -> float | None:
        grown = self.grown(name)
        if grown is None or self._before is None or self._now is None:
            return None
        return grown / (self._now.at_s - self._before.at_s)

    def _share(self, part: str, whole: str) -> float | None:
        some, all_of_it = self.grown(part), self.grown(whole)
        return None if some is None or not all_of_it else some / all_of_it


class VllmServers:
    """The servers that a dashboard was told of."""

    def __init__(self, addresses: Sequence[str] = ()) -> None:
        if len(addresses) > MOST_SERVERS:
            raise BadInput(f"a dashboard looks at {MOST_SERVERS} servers at most, not {len(addresses)}")
        self._servers = [VllmServer(address) for address in dict.fromkeys(addresses)]

    async def watch(self, wanted: Callable[[], bool]) -> None:
        """Look at all of them again and again while somebody wants to know, until this is cancelled."""
        async with httpx.AsyncClient(follow_redirects=False) as client:
            while True:
                if wanted():
                    await asyncio.gather(*(each.look(client) for each in self._servers))
                await asyncio.sleep(LOOK_S)

    def of(self, model: str) -> list[dict[str, Any]]:
        """Return what the page shows of those that a model's address names."""
        hosts = {_host(found) for found in _ADDRESS.findall(model)}
        return [each.view() for each in self._servers if each.host in hosts]

    def views(self) -> list[dict[str, Any]]:
        """Return what the page shows of each."""
        return [each.view() for each in self._servers]


async def _text(client: httpx.AsyncClient, url: httpx.URL) -> str:
    found = bytearray()
    async with client.stream("GET", url) as answer:
        if answer.status_code != 200:
            raise ValueError(f"{answer.status_code} {answer.reason_phrase}")
        async for part in answer.aiter_bytes():
            found += part
            if len(found) > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES:,} bytes")
    return found.decode(errors="replace")


def _host(address: str) -> str:
    try:
        return httpx.URL(address).netloc.decode()
    except httpx.InvalidURL:
        return ""


def _metrics_of(address: str) -> httpx.URL:
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise BadInput(
            f"the server {redacted_url(address)!r} is no address: http://HOST:PORT, as --model has it, is one"
        )
    path = url.path.rstrip("/").removesuffix("/metrics").removesuffix("/v1")
    return url.copy_with(path=f"{path}/metrics")

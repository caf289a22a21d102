"""A run on a server that counts no tokens says that they are unknown, in the report, on its page and in JSON."""

import io
import json

import surefoot
from rich.console import Console
from surefoot.agents.doubles import towers_double
from surefoot.agents.doubles.manners import Manner
from surefoot.agents.doubles.server import DoubleServer
from surefoot.cli.display import page


async def test_unknown_usage_is_unknown_up_to_the_report() -> None:
    manner = Manner(frozenset(["no usage"]))
    async with DoubleServer(towers_double(), manner=manner) as server:
        report = await surefoot.run(surefoot.Towers(disks=3, style="compact"), model=server.url, k=2)
    tokens = json.loads(report.model_dump_json())["tokens"]
    assert tokens["uncounted"] == report.samples == 14
    assert [tokens[name] for name in ("prompt", "completion", "total", "cached")] == [None] * 4
    shown = io.StringIO()
    Console(file=shown, width=200).print(page(report, "surefoot show"))
    assert "unknown in (unknown cached), unknown out" in shown.getvalue()
    assert "of 14 samples" in shown.getvalue()

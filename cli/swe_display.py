"""What a person sees of a run over many instances: a live table, a line for each that is over, the tables at the end."""

import time
from collections import Counter
from typing import TYPE_CHECKING, Self

from rich.console import Group, RenderableType
from rich.table import Table

from surefoot.orchestration.events import Back, Event, Noted, Waiting

from .display import LOOK_EVERY_S, count
from .live import LiveDisplay
from .terminal import Terminal, styled

if TYPE_CHECKING:
    from surefoot.orchestration.swe.fleet import Fleet
    from surefoot.orchestration.swe.result import InstanceResult


class FleetDisplay(LiveDisplay):
    """Shows a fleet: live on a terminal, and in any case a line for every instance that is over."""

    def __init__(self, fleet: "Fleet", terminal: Terminal | None = None) -> None:
        self._fleet = fleet
        self._said: set[str] = set()
        self._waiting = ""
        self._began = time.monotonic()
        super().__init__(terminal)

    def listen(self, event: Event) -> None:
        """Hear what is waited for."""
        if isinstance(event, Waiting):
            self._waiting = event.sentence
        elif isinstance(event, Back):
            self._waiting = ""
        elif isinstance(event, Noted):
            self.terminal.print(styled(event.sentence, "yellow"), soft_wrap=True)

    def __enter__(self) -> Self:
        self._said = set(self._fleet.results())
        return super().__enter__()

    def lines(self) -> None:
        """Print a line for every instance that is over."""
        over = False
        while not over:
            over = self.over.wait(LOOK_EVERY_S)
            for name, result in list(self._fleet.ended.items()):
                if name not in self._said:
                    self._said.add(name)
                    self.terminal.print(
                        _line(result, len(self._said), len(self._fleet.instances)), soft_wrap=True
                    )

    def frame(self) -> RenderableType:
        """The instances in flight."""
        table = Table(box=None, pad_edge=False)
        for name in ("instance", "attempt", "turns", "calls", "", "s"):
            table.add_column(name, justify="left" if name in ("instance", "") else "right")
        for row in list(self._fleet.in_flight.values()):
            age = time.monotonic() - row.since
            table.add_row(
                row.instance_id, f"{row.attempt}", f"{row.turns}", f"{row.calls}", row.doing, f"{age:,.0f}"
            )
        done = f"{len(self._said)} of {len(self._fleet.instances)} instances are over, {time.monotonic() - self._began:,.0f} s"
        waiting = [styled(f"waiting: {self._waiting}", "yellow")] if self._waiting else []
        return Group(table, styled(done, "bold"), *waiting)


def _line(result: "InstanceResult", number: int, of: int) -> str:
    chosen = result.chosen
    why = f" ({chosen.why or result.why})" if chosen.why or result.why else ""
    return f"{number} of {of}: {result.instance_id}: {_resolved(result)}, {chosen.exit_status.value} after {chosen.turns} turns{why}"


def status_table(fleet: "Fleet") -> RenderableType:
    """Say how far a run is."""
    results = fleet.results()
    table = Table(box=None, pad_edge=False, show_header=False)
    counted = Counter(result.chosen.exit_status for result in results.values())
    over = sum(result.chosen.is_over for result in results.values())
    table.add_row("instances", f"{over:,} of {len(fleet.instances):,} are over")
    table.add_row("resolved", f"{sum(result.resolved is True for result in results.values()):,}")
    for exit_status, number in sorted(counted.items()):
        table.add_row(exit_status.value, f"{number:,}: {exit_status.sentence}")
    if over < len(fleet.instances):
        table.add_row("", f"`surefoot swe resume {fleet.out}` goes on")
    return table


def results_table(fleet: "Fleet") -> RenderableType:
    """Show every instance that is over."""
    table = Table(box=None, pad_edge=False)
    names = (
        "instance",
        "resolved",
        "status",
        "attempts",
        "turns",
        "calls",
        "tokens",
        "s",
        "score",
        "patch",
        "tests",
        "",
    )
    for name in names:
        table.add_column(name, justify="left" if name in ("instance", "resolved", "status", "") else "right")
    for result in fleet.results().values():
        chosen = result.chosen
        tests = [found for found in (result.fail_to_pass, result.pass_to_pass) if found is not None]
        table.add_row(
            result.instance_id,
            _resolved(result),
            chosen.exit_status.value,
            f"{result.attempts}",
            f"{chosen.turns}",
            f"{chosen.calls}",
            count(chosen.tokens.total) if chosen.tokens else "-",
            f"{chosen.seconds:,.1f}",
            "-" if chosen.score is None else f"{chosen.score:.1f}",
            f"{len(chosen.files)} files" if chosen.patch else "none",
            " ".join(f"{passed}/{of}" for passed, of in tests) or "-",
            chosen.why or result.why,
        )
    return Group(table, status_table(fleet))


def _resolved(result: "InstanceResult") -> str:
    return {True: "resolved", False: "not resolved", None: "not graded"}[result.resolved]

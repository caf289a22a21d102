"""The turns of an agent as the page has them: calls, observations, votes, a score, and where the monitor stepped in."""

from dataclasses import replace
from typing import Any

from surefoot.agents.agent.state import (
    ANSWERS,
    AgentTurn,
    Allowed,
    DecidedCalls,
    Seen,
    Summary,
    TurnAnswer,
    Watched,
)
from surefoot.agents.agent.watch import as_read, look
from surefoot.agents.monitor.policies import Policy
from surefoot.agents.monitor.signals import Signals
from surefoot.agents.tasks.codec import read_back
from surefoot.orchestration.record import Record

from .texts import LINE, fit, shortened

POLICY = Policy()
"""The usual one."""


class TrajectoryRows:
    """The turns of an agent as rows, made of its records one after the other, and what the live signals say after each.

    Thoughts are in no journal, so the signals see what the agent said and did: as a monitor without them would.
    """

    def __init__(self) -> None:
        self._signals = Signals()
        self._rows: list[dict[str, Any]] = []
        self._watched, self._acts = Watched(), list[str]()
        self._turn: AgentTurn | None = None
        self._row: dict[str, Any] = {}

    def see(self, record: Record) -> None:
        """Take in the next record."""
        answer: TurnAnswer = read_back(ANSWERS, record.answer)
        match answer:
            case DecidedCalls():
                self._end()
                self._turn = AgentTurn(answer.prose, answer.calls)
                self._row = {
                    "step": record.step,
                    "said": shortened(answer.prose, 2 * LINE),
                    "calls": [
                        {"name": shortened(call.name, LINE), "arguments": shortened(call.arguments, 2 * LINE)}
                        for call in answer.calls
                    ],
                    "seen": [],
                    "votes": record.votes,
                    "against": record.against,
                    "flags": fit(record.flags),
                    "tokens": record.usage.known("total"),
                    "thinking": record.usage.known("reasoning"),
                    "person": [],
                    "summary": "",
                }
            case Seen() if self._turn is not None:
                self._turn = replace(self._turn, seen=(*self._turn.seen, answer))
                self._row["seen"].append(
                    {
                        "step": record.step,
                        "text": shortened(answer.told, 2 * LINE),
                        "code": answer.code,
                        "outcome": answer.outcome,
                    }
                )
            case Allowed() if self._turn is not None:
                self._row["person"].append("allowed" if answer.yes else "not allowed")
            case Summary() if self._turn is not None:
                self._row["summary"] = shortened(answer.text, 2 * LINE)

    def done(self, watched: Watched | None) -> tuple[list[dict[str, Any]], int | None]:
        """Return the rows, and how often the monitor that remembered `watched` in the end stepped in; None if there was none, or no end yet.

        Its policy is in no journal.  Where the usual one, which reads the same turns here, remembers the same in the end, a row says how it
        stepped in.
        """
        self._end()
        if watched is None:
            return self._rows, None
        if watched == self._watched:
            for row, act in zip(self._rows, self._acts, strict=True):
                row["act"] = act
        return self._rows, watched.interventions

    def _end(self) -> None:
        if self._turn is None:
            return
        reading = self._signals.see(as_read(self._turn))
        self._row["turn"] = len(self._rows) + 1
        self._row["score"] = reading.score
        self._row["levels"] = {signal.pattern: signal.level for signal in reading.signals}
        self._rows.append(self._row)
        if not any(seen.ends for seen in self._turn.seen):
            self._watched = look(POLICY, self._watched, self._turn).watched
            self._acts.append(self._watched.act)
        else:
            self._acts.append("")
        self._turn = None

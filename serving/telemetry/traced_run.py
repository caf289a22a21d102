"""The spans of one run: a trace a segment, in it spans of its audit and of some of its steps.

    segment --link--> the one before
      step ...      a share of the steps, and every one that is contested, flagged, climbed, retried, slow, or an agent's
      act ...       a call of an agent, or whatever else the world has answered
      audit

Whether a step gets a span is decided when the step is, before anything is made for it: a step without one costs an addition and three
comparisons.  Names of attributes are those of OpenTelemetry's conventions for generative AI (`gen_ai.*`) where these have one, else `surefoot.*`.
"""

import re
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, StatusCode, Tracer, set_span_in_context
from pydantic_core import to_json

from surefoot.agents.agent.state import ANSWERS, DecidedCalls, Seen
from surefoot.agents.tasks.codec import read_back
from surefoot.agents.tasks.plain_values import canonical
from surefoot.errors import BadInput
from surefoot.orchestration.events import (
    Asking,
    AuditBegan,
    Audited,
    Began,
    Committed,
    Counts,
    Ended,
    Event,
    GoneBack,
    Repaired,
    SegmentBegan,
    Undecided,
    Waiting,
)
from surefoot.orchestration.record import Record
from surefoot.orchestration.task_of_job import AGENTS
from surefoot.printable import printable
from surefoot.voting.samples import Usage

from .settings import TelemetrySettings

SHOWN = 1_000
"""Characters of an answer or of a sample in a span."""
SPREAD, RANGE = 2_654_435_761, 1 << 32
"""The steps that are sampled: multiplied by the first, modulo the second, they fall evenly over the range, in every run on the same ones."""
MASK = RANGE - 1
TOOL = re.compile(r"[\w.-]{1,64}", re.ASCII)
"""What names of tools look like; a model may write anything in the place of one."""


class OpenSegment(NamedTuple):
    """The trace that steps go into."""

    span: Span
    context: Context
    """With the span in it."""
    counts: list[Counts]
    """What was committed since it began."""


class TracedRun:
    """Makes spans of the events of one run, from its `Began` on.

    `whole` is the name of the job as the metrics have it: that of the stitched job, of the problem or of the fleet that the run belongs to.
    """

    def __init__(self, tracer: Tracer, settings: TelemetrySettings, begun: Began, whole: str) -> None:
        self._tracer = tracer
        self._content = settings.content
        self._slow_ns = int(settings.slow_s * 1e9)
        self._below = int(settings.span_share * RANGE)
        self._agent = begun.task in AGENTS
        kind = "agent" if self._agent else "workflow"
        self._model = {"gen_ai.request.model": begun.model} if begun.model else {}
        self._run = {
            "gen_ai.operation.name": f"invoke_{kind}",
            f"gen_ai.{kind}.name": begun.task,
            **self._model,
            "surefoot.run": whole or begun.job,
            "surefoot.job": begun.job,
        }
        self._segment: OpenSegment | None = None
        self._before: Link | None = None
        """To the segment before."""
        self._since = self._audit_since = time.time_ns()
        self._retried = False
        self._due: deque[str] = deque()
        """The tools of an agent's decided calls that are not answered yet."""

    def decided(self, record: Record) -> None:
        """Make a span of a decided step, if it is to have one; nearly every event is one of these."""
        step, _, votes, others, flags, _, rungs, reused = record  # by name it takes twice as long
        now = time.time_ns()
        began, self._since = self._since, now
        slow = now - began > self._slow_ns
        acted = not votes and reused is None
        if others or flags or rungs or slow or acted or self._retried or self._agent:
            self._keep(record, began, now, self._why(record, slow, acted))
            self._retried = False
        elif step * SPREAD & MASK < self._below:
            self._keep(record, began, now, "sampled")

    def hear(self, event: Event) -> None:
        """Make what any other event tells of."""
        match event:
            case Committed(counts=counts) if self._segment is not None:
                self._segment.counts.append(counts)
            case SegmentBegan():
                self._open(event)
            case AuditBegan():
                self._audit_since = time.time_ns()
            case Audited():
                self._audited(event)
            case Repaired() | GoneBack() | Waiting():
                self._note(event)
            case Undecided():
                self._undecided(event)
            case Asking(step=step):
                self._end(StatusCode.OK, {"surefoot.asking": step})
            case Ended(error=error):
                said = {} if error is None else {"error.type": type(error).__name__}
                self._end(StatusCode.OK if error is None else StatusCode.ERROR, said)

    def close(self) -> None:
        """End the segment that is open."""
        self._end(StatusCode.UNSET, {})

    def _why(self, record: Record, slow: bool, acted: bool) -> str:
        """Say what is notable about a step, by the first reason that applies."""
        reasons = {
            "contested": record.others,
            "climbed": record.rungs,
            "flagged": record.flags,
            "retried": self._retried,
            "slow": slow,
            "acted": acted,
        }
        return next((reason for reason, applies in reasons.items() if applies), "turn")

    def _keep(self, record: Record, began: int, ended: int, kept: str) -> None:
        """Make the span of a step; `kept` says why it has one."""
        said: dict[str, Any] = {"surefoot.step": record.step, "surefoot.kept": kept}
        by_vote = record.votes or record.others or record.rungs
        name = "step" if by_vote or record.reused is not None else "act"
        if by_vote:
            said |= {
                "gen_ai.operation.name": "chat",
                **self._model,
                "gen_ai.request.choice.count": record.votes + record.against + sum(record.flags.values()),
                **_usage(record.usage),
                "surefoot.votes": record.votes,
                "surefoot.against": record.against,
            }
        if self._agent:
            said |= self._of_agent(record)
        if record.flags:
            said["surefoot.flags"] = to_json(dict(record.flags)).decode()
        if record.rungs:
            said["surefoot.rungs"] = [each.rung for each in record.rungs]
        if record.reused is not None:
            said["surefoot.reused"] = record.reused
        if self._content:
            said["surefoot.answer"] = _cut(canonical(record.answer).decode())
            said["surefoot.others"] = [_cut(canonical(answer).decode()) for answer, _ in record.others]
        self._add(name, began, ended, said)

    def _of_agent(self, record: Record) -> dict[str, Any]:
        """Return what is said of a step of an agent: how many calls were decided, or which tool was called and how that ended."""
        answer = None
        with suppress(BadInput):  # somebody else's task of that name
            answer = read_back(ANSWERS, record.answer)
        match answer:
            case DecidedCalls(calls=calls):
                self._due = deque(call.name for call in calls)
                return {"surefoot.calls": len(calls)}
            case Seen(outcome=outcome):
                tool = (
                    self._due.popleft() if self._due else ""
                )  # of a turn that another runner decided nothing is known
                named = {"gen_ai.tool.name": tool} if TOOL.fullmatch(tool) else {}
                return {"gen_ai.operation.name": "execute_tool", **named, "surefoot.outcome": outcome}
        return {}

    def _open(self, event: SegmentBegan) -> None:
        self._end(StatusCode.UNSET, {})
        self._since = time.time_ns()
        said: dict[str, Any] = {**self._run, "surefoot.segment": event.segment, "surefoot.k": event.k}
        links = [] if self._before is None else [self._before]
        span = self._tracer.start_span("segment", attributes=said, links=links, start_time=self._since)
        self._before = Link(span.get_span_context())
        self._segment = OpenSegment(span, set_span_in_context(span), [])

    def _end(self, status: StatusCode, said: Mapping[str, Any]) -> None:
        """End the segment that is open, if one is, with what was committed in it."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        if segment.counts:
            first, *others = segment.counts
            counts = sum(others, first)
            segment.span.set_attributes(
                {
                    **_usage(counts.usage),
                    "surefoot.votes": counts.votes,
                    "surefoot.contested": counts.contested,
                    "surefoot.red_flags": sum(counts.flags.values()),
                }
            )
        segment.span.set_attributes(dict(said))
        segment.span.set_status(status)
        segment.span.end(time.time_ns())

    def _audited(self, event: Audited) -> None:
        said = {"surefoot.fault": bool(event.fault)}
        status = StatusCode.ERROR if event.fault else StatusCode.OK
        self._add("audit", self._audit_since, time.time_ns(), said, status)
        self._end(status, said)

    def _undecided(self, event: Undecided) -> None:
        """A stalled step is a span with an error: its candidates are counted, and told if content is."""
        said: dict[str, Any] = {
            "surefoot.step": event.step,
            "surefoot.kept": "undecided",
            "surefoot.tally": sorted(event.tally.values(), reverse=True),
            "surefoot.flags": to_json(dict(event.flags)).decode(),
        }
        if self._content:
            said["surefoot.candidates"] = [_cut(candidate) for candidate in event.tally]
            said["surefoot.examples"] = [_cut(example) for example in event.examples]
        self._add("step", self._since, time.time_ns(), said, StatusCode.ERROR)

    def _note(self, event: Event) -> None:
        """Write an interruption down where it happened."""
        # A person who lets the run stand still is no failed try.
        self._retried = self._retried or (isinstance(event, Waiting) and event.on != "person")
        if self._segment is not None:
            on = {"surefoot.on": event.on} if isinstance(event, Waiting) else {}
            self._segment.span.add_event(type(event).__name__.lower(), on)

    def _add(
        self,
        name: str,
        began: int,
        ended: int,
        said: Mapping[str, Any],
        status: StatusCode = StatusCode.UNSET,
    ) -> None:
        """Make a span within the open segment."""
        context = None if self._segment is None else self._segment.context
        span = self._tracer.start_span(name, context, attributes=dict(said), start_time=began)
        if status is not StatusCode.UNSET:
            span.set_status(status)
        span.end(ended)


def _usage(usage: Usage) -> dict[str, int]:
    """Return tokens by the names of the conventions; what is unknown is left out, and so is what is 0."""
    named = {
        "gen_ai.usage.input_tokens": usage.known("prompt"),
        "gen_ai.usage.cache_read.input_tokens": usage.known("cached"),
        "gen_ai.usage.output_tokens": usage.known("completion"),
        "gen_ai.usage.reasoning.output_tokens": usage.known("reasoning"),
    }
    return {name: tokens for name, tokens in named.items() if tokens}


def _cut(text: str) -> str:
    return printable(text[:SHOWN], keep="\n\t")

"""The replicas of a model: who is asked, and how a failure is told."""

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing

from tenacity import RetryCallState

from surefoot.models.base import Ask, Model, ModelUnavailable
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.failures import RequestRefused, Transient
from surefoot.models.openai.options import Options, Wait
from surefoot.voting.samples import Sample

from .affinity import weight
from .replica import Assignment, BreakerState, Replica

BOUND = 1.5
"""A prompt's own replica is asked unless that costs so many times as much as the one that costs least."""
LATE = 0.95
"""Share of the latest answers that came faster than one that is late."""
LATENCIES, FEWEST_LATENCIES = 500, 20
"""The latest answers by which lateness is judged, at most and at least."""


class Roster:
    """All replicas of one model, with the patience and the callbacks that they share."""

    def __init__(
        self,
        models: Sequence[tuple[str, Model]],
        key: Callable[[Ask], str],
        options: Options,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.key, self.options = key, options
        self.replicas = [Replica(model, server, clock, self._changed) for server, model in models]
        self.asked = 0
        """Asks that were to be answered, each counted once."""
        self._hedged = 0
        self._clock = clock
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._gone = False

    @property
    def name(self) -> str:
        """The name that the replicas share."""
        met = [each for each in self.replicas if each.met]
        return (met or self.replicas)[0].model.name

    @property
    def healthy(self) -> list[Replica]:
        """Those that are asked."""
        return [each for each in self.replicas if each.state is BreakerState.CLOSED]

    def errors(self) -> str:
        """Return each replica with what it failed at last."""
        return "; ".join(f"{each.server} ({each.error or 'busy'})" for each in self.replicas)

    def choose(self, key: bytes, more: int, without: Collection[Replica] = ()) -> Replica | None:
        """Return who is to get so many asks of one key; None if all are left alone, or among those `without`."""
        able = [each for each in self.healthy if each not in without]
        if able:
            quickest_s = min((each.latency_s for each in able if each.latency_s is not None), default=0.0)
            costs = {each: each.cost(more, quickest_s) for each in able}
            own = max(able, key=lambda each: weight(key, each.server))
            return own if costs[own] <= BOUND * min(costs.values()) else min(able, key=costs.__getitem__)
        due = [each for each in self.replicas if each.due and each not in without]
        return max(due, key=lambda each: weight(key, each.server), default=None)

    def second(self, key: bytes, more: int, first: Replica) -> Replica | None:
        """Return who else is to get late asks, if the share of hedged ones allows it."""
        if self._hedged + more > self.options.hedge * self.asked:
            return None
        other = self.choose(key, more, [first])
        if other is not None:
            self._hedged += more
            other.hedged += more
        return other

    def late_after_s(self) -> float | None:
        """Return the time after which an answer is late; None as long as that is not known, or nothing is hedged."""
        if not self.options.hedge or len(self._latencies) < FEWEST_LATENCIES:
            return None
        return sorted(self._latencies)[int(LATE * len(self._latencies))]

    async def ask(self, given: Assignment, asks: Sequence[Ask], take: Callable[[int, Sample], None]) -> None:
        """Let a replica answer what it was given, and `take` each answer with its position.

        Raises `RequestRefused`, and `ModelUnavailable` where it fails, which is noted.
        """
        replica = given.replica
        try:
            async with given.interruptible():
                if not replica.met:
                    await self._meet_late(replica)
                async with aclosing(replica.model.sample(asks)) as samples:
                    async for position, sample in samples:
                        take(position, sample)
                        given.answered()
                        self._latencies.append(self._clock() - given.began)
            if given.left:
                raise ModelUnavailable(f"{replica.server} left {given.left} of {len(asks)} asks unanswered")
            if self._gone:
                self._gone = False
                if self.options.on_back:
                    self.options.on_back()
        except RequestRefused as error:
            if replica.state is BreakerState.HALF_OPEN:
                given.failed(str(error))  # Whoever refuses what it is tried with is not back.
            raise
        except ModelUnavailable as error:
            failure = error.__cause__
            after_s = failure.retry_after_s if isinstance(failure, Transient) else 0.0
            given.failed(_why(error), after_s)
            raise
        finally:
            given.over()

    def announce(self, state: RetryCallState) -> None:
        """Tell that none answers, and when they are asked again."""
        self._gone = True
        if self.options.on_wait and state.next_action:
            wait = Wait(
                server=f"all {len(self.replicas)} replicas",
                error=self.errors(),
                attempt=state.attempt_number,
                next_try_s=state.next_action.sleep,
            )
            self.options.on_wait(wait)

    def give_up(self, state: RetryCallState) -> None:
        """Raise what ends the patience, with all their names."""
        raise ModelUnavailable(
            f"none of {len(self.replicas)} replicas has answered for {self.options.patience_s:g} s: {self.errors()}: check "
            f"their addresses, start one, and resume"
        ) from None

    def _changed(self, replica: Replica) -> None:
        """Tell of a replica that is left alone, is back, or is set aside."""
        what = {
            BreakerState.OPEN: f"is left alone for {replica.rest_s:g} s at first, and its asks go elsewhere: {replica.error}",
            BreakerState.CLOSED: "answers again",
            BreakerState.SET_ASIDE: f"is asked no more: {replica.error}",
        }[replica.state]
        _, _, asked, answered, failed, hedged, outstanding, _ = replica.counts()
        self.tell(
            f"{replica.server} {what} (asked {asked:,}, answered {answered:,}, failed {failed:,}, hedged {hedged:,}, "
            f"outstanding {outstanding:,})"
        )

    def tell(self, sentence: str) -> None:
        """Tell what a person should know."""
        if self.options.on_notice is not None:
            self.options.on_notice(sentence)

    async def _meet_late(self, replica: Replica) -> None:
        """Find out whether a replica that was away serves what the others do."""
        name = self.name
        await meet(replica, 0.0)
        if replica.model.name != name:
            replica.met = False
            replica.set_aside(f"it serves {replica.model.name!r}, the others serve {name!r}")
            raise ModelUnavailable(f"{replica.server} serves {replica.model.name!r}")


async def meet(replica: Replica, patience_s: float | None = None) -> None:
    """Find out whether a replica is there; one that is no client needs no asking."""
    model = replica.model
    if isinstance(model, OpenAIModel):
        await (model.ready() if patience_s is None else model.ready(patience_s))
    replica.met = True


def _why(error: ModelUnavailable) -> str:
    """Return why a replica failed, without how long it was waited for, which is no time at all."""
    failure = error.__cause__
    return str(failure) if isinstance(failure, Transient) else str(error)

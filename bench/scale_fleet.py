"""A job of many parts on many workers and model replicas, with failures, simulated by events.

An event is the end of a part, a death, a return, or a lease that runs out.  Between two events all parts on one replica advance
alike, so a replica keeps one clock of steps (the virtual time of processor sharing: Parekh and Gallager 1993), and the end of a
part is a reading of that clock.  An event costs O(log parts + replicas), however many steps lie between two of them.
"""

import heapq
import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal, NamedTuple, get_args

from surefoot.orchestration.journal.journal import COMMIT_S, COMMIT_STEPS
from surefoot.orchestration.journal.lease import LEASE_S

Kind = Literal["worker", "replica", "Redis"]
COMMITTED_AFTER_S = 1.5 * COMMIT_S
"""The pulse looks every `COMMIT_S` for steps as old as that, so on average they wait half as long again."""
LOOKS = 200
"""Points of a course."""
FOREVER = math.inf


class Hazard(NamedTuple):
    """How often one of a kind fails, and for how long it is gone."""

    every_s: float = FOREVER
    """Mean of the exponential time between two failures of one."""
    gone_s: float = 0.0


NEVER = Hazard()


class Batching(NamedTuple):
    """How long a replica takes for an answer: a token takes longer, the more samples are drawn at a time."""

    tokens: float
    """Of an answer."""
    token_s: float
    """A token, when nothing else is drawn."""
    more_s: float = 0.0
    """What every further sample in flight adds to a token."""
    prefill_s: float = 0.0

    def latency_s(self, samples: float) -> float:
        """Return the seconds of an answer with so many samples in flight."""
        return self.prefill_s + self.tokens * (self.token_s + self.more_s * samples)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What is simulated."""

    steps: int
    parts: int
    workers: int
    at_once: int
    """Parts that a worker has in hand."""
    replicas: int
    answers: Batching
    samples: float = 3.0
    """Of a step."""
    rounds: float = 1.0
    """Calls of a step, one after the other."""
    own_s: float = 0.0
    """What a step takes beside its answers."""
    cpu_s: float = 0.0
    """What a step takes of the worker's one core."""
    lease_s: float = LEASE_S
    look_s: float = 1.0
    """Between two looks of an idle worker at parts that others hold."""
    worker: Hazard = NEVER
    replica: Hazard = NEVER
    redis: Hazard = NEVER
    commit_after_s: float = COMMITTED_AFTER_S
    """Age of a decided step when it becomes durable."""
    redis_lost_s: float = 1.0
    """Latest commits that a fail-over loses."""
    slow: float = 0.0
    """Share of replicas that are slow."""
    slower: float = 3.0
    """How much slower those are."""
    seed: int = 0

    def step_s(self, parts: int, slower: float = 1.0) -> float:
        """Return the seconds of a step on a replica that has so many parts."""
        answered = self.rounds * self.answers.latency_s(parts * self.samples) * slower
        return max(self.own_s + answered, self.at_once * self.cpu_s)

    def steps_a_commit(self, step_s: float) -> float:
        """Return how many steps of this length a commit makes durable."""
        return min(max(1.0, self.commit_after_s / step_s), COMMIT_STEPS)


@dataclass
class Course:
    """What came of it."""

    wall_s: float = 0.0
    commits: float = 0.0
    failures: Counter[Kind] = field(default_factory=Counter)
    again: dict[Kind, float] = field(default_factory=lambda: dict.fromkeys(get_args(Kind), 0.0))
    """Steps decided again, by what failed."""
    held_s: float = 0.0
    """Part-seconds spent waiting for the leases of the dead to run out."""
    down_s: float = 0.0
    """Slot-seconds of workers that were gone."""
    busy_s: float = 0.0
    """Slot-seconds in which parts were worked on, paused by Redis or not."""
    rates: list[tuple[float, float]] = field(default_factory=list)
    """Moment, and steps a second at that moment."""


class _Part:
    """A part that is waiting or worked on."""

    __slots__ = ("began", "began_steps", "ends", "left", "replica", "worker")

    def __init__(self, steps: float) -> None:
        self.left = steps
        self.ends = 0.0
        """Reading of the replica's clock at its end."""
        self.began = self.began_steps = 0.0
        self.replica: _Clock | None = None
        self.worker = -1


class _Clock:
    """A replica: the clock of steps that every part on it has advanced by."""

    def __init__(self, slower: float) -> None:
        self.slower = slower
        self.up = True
        self.parts: dict[_Part, None] = {}
        """In the order in which they came, so that a seed decides all."""
        self.steps = self.rate = self.at = 0.0
        self.ends: list[tuple[float, int, _Part]] = []
        self.version = 0


class Simulation:
    """One course of events.

    course = Simulation(scale).run()        # the same for the same seed
    """

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._rng = Random(scale.seed)
        self._now = 0.0
        self._order = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        slow = round(scale.slow * scale.replicas)
        self._replicas = [_Clock(scale.slower if number < slow else 1.0) for number in range(scale.replicas)]
        self._hands: list[dict[_Part, None]] = [{} for _ in range(scale.workers)]
        self._up = [True] * scale.workers
        self._idle: set[int] = set()
        """Workers that live and have room."""
        each, more = divmod(scale.steps, scale.parts)
        self._waiting = deque(_Part(each + (number < more)) for number in range(scale.parts))
        self._open = scale.parts
        self._redis_up = True
        self.course = Course()

    def run(self) -> Course:
        """Let everything happen until the last part ends."""
        scale = self._scale
        for worker in range(scale.workers):
            self._fill(worker)
        self._fail_again(scale.worker, scale.workers, self._worker_dies)
        self._fail_again(scale.replica, scale.replicas, self._replica_dies)
        self._fail_again(scale.redis, 1, self._redis_fails_over)
        self._look(scale.steps / max(self._rate(), 1e-9) / LOOKS)
        while self._open:
            self._now, _, happen = heapq.heappop(self._events)
            happen()
        self.course.wall_s = self._now
        return self.course

    def kill(self, at_s: float, worker: int) -> None:
        """Let one worker die at this moment, beside all that is drawn."""
        self._later(at_s, lambda: self._die(worker))

    def _later(self, after_s: float, happen: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._events, (self._now + after_s, self._order, happen))

    def _fail_again(self, hazard: Hazard, count: int, die: Callable[[], None]) -> None:
        """Draw the next failure among so many: together they fail that much more often."""
        if hazard.every_s == FOREVER:
            return

        def happen() -> None:
            die()
            self._fail_again(hazard, count, die)

        self._later(self._rng.expovariate(count / hazard.every_s), happen)

    def _look(self, every_s: float) -> None:
        self.course.rates.append((self._now, self._rate()))
        self._later(every_s, lambda: self._look(every_s))

    def _rate(self) -> float:
        return sum(len(replica.parts) * replica.rate for replica in self._replicas)

    # Parts

    def _fill(self, worker: int) -> None:
        """Give a worker parts that nobody has, as many as it has room for."""
        hand = self._hands[worker]
        while self._up[worker] and self._waiting and len(hand) < self._scale.at_once:
            part = self._waiting.popleft()
            part.worker = worker
            part.began = self._now
            part.began_steps = part.left
            hand[part] = None
            self._place(part)
        if self._up[worker] and len(hand) < self._scale.at_once:
            self._idle.add(worker)
        else:
            self._idle.discard(worker)

    def _place(self, part: _Part) -> None:
        """Send a part's asks to the replica that has the fewest parts."""
        living = [replica for replica in self._replicas if replica.up]
        if not living:  # it asks again and again until one is back
            part.replica = None
            return
        replica = min(living, key=lambda each: len(each.parts))
        self._settle(replica)
        replica.parts[part] = None
        part.replica = replica
        part.ends = replica.steps + part.left
        self._order += 1
        heapq.heappush(replica.ends, (part.ends, self._order, part))
        self._pace(replica)

    def _take_off(self, part: _Part) -> None:
        """Take a part off its replica; `left` says what is left of it."""
        replica = part.replica
        if replica is None:
            return
        self._settle(replica)
        part.left = max(0.0, part.ends - replica.steps)
        replica.parts.pop(part, None)
        part.replica = None
        self._pace(replica)

    def _settle(self, replica: _Clock) -> None:
        """Bring a replica's clock to this moment."""
        replica.steps += replica.rate * (self._now - replica.at)
        replica.at = self._now

    def _pace(self, replica: _Clock) -> None:
        """Set a replica's rate anew, and the moment at which the next part on it ends."""
        scale, count = self._scale, len(replica.parts)
        running = replica.up and self._redis_up and count > 0
        replica.rate = 1 / scale.step_s(count, replica.slower) if running else 0.0
        replica.version += 1
        # Entries of parts that were taken off stay in the heap until they come up.
        while replica.ends and not self._stands(replica, *replica.ends[0]):
            heapq.heappop(replica.ends)
        if replica.rate and replica.ends:
            version = replica.version
            after_s = max(0.0, replica.ends[0][0] - replica.steps) / replica.rate
            self._later(after_s, lambda: self._end(replica, version))

    def _stands(self, replica: _Clock, ends: float, _: int, part: _Part) -> bool:
        return part.replica is replica and part.ends == ends

    def _end(self, replica: _Clock, version: int) -> None:
        if replica.version != version:
            return  # the rate has changed since, and another event was set
        _, _, part = heapq.heappop(replica.ends)
        self._take_off(part)
        part.left = 0.0
        self._leave(part)
        self._open -= 1
        self._fill(part.worker)

    def _leave(self, part: _Part) -> None:
        """Let a worker's hand go of a part, and count what was written for it."""
        self._hands[part.worker].pop(part, None)
        spent_s, steps = self._now - part.began, part.began_steps - part.left
        self.course.busy_s += spent_s
        if steps > 0:
            self.course.commits += steps / self._scale.steps_a_commit(spent_s / steps)

    # Failures

    def _worker_dies(self) -> None:
        self._die(self._rng.randrange(self._scale.workers))

    def _die(self, worker: int) -> None:
        if not self._up[worker]:
            return
        scale, course, rng = self._scale, self.course, self._rng
        course.failures["worker"] += 1
        course.down_s += scale.at_once * scale.worker.gone_s
        self._up[worker] = False
        self._idle.discard(worker)
        for part in sorted(self._hands[worker], key=lambda each: each.ends):
            rate = part.replica.rate if part.replica else 0.0
            self._take_off(part)
            self._leave(part)
            # The step in flight was not decided yet; those since the last commit were.
            again = min(rate * scale.commit_after_s, part.began_steps - part.left)
            course.again["worker"] += again
            part.left += again + rng.random() * (rate > 0)
            age_s = rng.random() * min(1 / rate if rate else FOREVER, scale.lease_s / 3)
            course.held_s += scale.lease_s - age_s
            self._later(scale.lease_s - age_s, lambda part=part: self._free(part))  # type: ignore[misc]
        if scale.worker.gone_s != FOREVER:
            self._later(scale.worker.gone_s, lambda: self._back(worker))

    def _free(self, part: _Part) -> None:
        """Offer a part whose lease has run out before all others: its worker may have been far."""
        self._waiting.appendleft(part)
        if self._idle:
            self._later(self._rng.random() * self._scale.look_s, self._taken_by_the_idle)

    def _taken_by_the_idle(self) -> None:
        for worker in sorted(self._idle):
            if not self._waiting:
                return
            self._fill(worker)

    def _back(self, worker: int) -> None:
        self._up[worker] = True
        self._fill(worker)

    def _replica_dies(self) -> None:
        replica = self._rng.choice(self._replicas)
        if not replica.up:
            return
        self.course.failures["replica"] += 1
        moved = sorted(replica.parts, key=lambda each: each.ends)
        for part in moved:
            self._take_off(part)
        replica.up = False
        for part in moved:
            part.left += self._rng.random()  # the step in flight is asked anew
            self._place(part)
        self._later(self._scale.replica.gone_s, lambda: self._replica_back(replica))

    def _replica_back(self, replica: _Clock) -> None:
        """Take its share of the parts again: affinity prefers where a part was."""
        replica.up, replica.at = True, self._now
        for hand in self._hands:
            for part in sorted(hand, key=lambda each: each.ends):
                if part.replica is None:
                    self._place(part)
        while True:
            fullest = max(self._replicas, key=lambda each: len(each.parts))
            if len(fullest.parts) <= len(replica.parts) + 1:
                return
            part = min(fullest.parts, key=lambda each: each.ends)
            self._take_off(part)
            self._place(part)

    def _redis_fails_over(self) -> None:
        if not self._redis_up:
            return
        self.course.failures["Redis"] += 1
        for replica in self._replicas:
            self._settle(replica)
            # Every part on it goes back by the same number of steps: so does the clock.
            lost = replica.rate * self._scale.redis_lost_s
            replica.steps -= lost
            self.course.again["Redis"] += lost * len(replica.parts)
        self._redis_up = False
        self._pace_all()
        self._later(self._scale.redis.gone_s, self._redis_back)

    def _redis_back(self) -> None:
        self._redis_up = True
        self._pace_all()

    def _pace_all(self) -> None:
        for replica in self._replicas:
            self._settle(replica)
            self._pace(replica)

"""Kill -9 of the runner, the model server and Redis at random moments; the result has to be the same as without.

python bench/chaos.py --rounds 50 --disks 8 [--seed 0]

The model server (the embedded model), Redis (Valkey, append-only, fsync every second) and the runner (the command line)
are processes of their own.  In each round a job is run while one to three of them are killed, all three kinds equally often
over the rounds; whatever was killed is started again at once or after an outage of up to 1.5 s.  Then the move list and
the final hash are compared with those of an undisturbed run.  Exits 1 if any differ.
"""

import contextlib
import random
import signal
import sys
import time
from collections import Counter
from typing import NamedTuple

from chaos_house import VICTIMS, House, Victim, house
from pages import options, shown
from rich.console import Console
from rich.table import Table

from surefoot.tools.towers.board import optimal_length

ROUND_S = 240.0
LOOK_EVERY_S = 0.005
MOST_OUTAGE_S = 1.5
FLUSH_S = 0.2
"""Steps that become durable so soon after the model server was killed were decided before."""
MOST_RUNNERS = 20
"""Runners that one job may take: one per kill, and a few that gave up in an outage."""


class Kill(NamedTuple):
    """Who is killed when."""

    victim: Victim
    step: int | None
    """As soon as so many steps are durable, or ..."""
    after_s: float
    """... so many seconds after that, or after the kill before if `step` is None."""
    outage_s: float
    """How long the victim stays away."""


class Struck(NamedTuple):
    """What a kill did."""

    victim: Victim
    step: int
    """Steps durable just before."""
    recovery_s: float
    """From the kill to the next durable step, or to the end of the job."""
    decided_again: int
    """Steps that Redis had shown as durable and came back without."""


class Outcome(NamedTuple):
    """How a job ended."""

    moves: bytes
    head: str
    struck: list[Struck]
    runners: int
    seconds: float


class Round:
    """One job, and the kills that befall it."""

    def __init__(self, house: House, job: str, kills: list[Kill]) -> None:
        self._house = house
        self._job = job
        self._kills = list(kills)
        self._back: list[tuple[float, Victim]] = []
        """When killed processes are due to start again."""
        self._open: list[tuple[Kill, float, int]] = []
        """Kills after which no step has become durable yet: which, when, and at which step."""
        self._struck: list[Struck] = []
        self._lost: Counter[float] = Counter()
        self._steps = 0
        self._last_kill = time.monotonic()
        self._reached: float | None = None
        """When the step that the next kill waits for was reached."""
        self._runners = 0

    def play(self) -> Outcome:
        """Run the job through all its kills to its end."""
        began = time.monotonic()
        self._begin()
        while not (self._house.runner.code == 0 and not self._back):
            if time.monotonic() - began > ROUND_S:
                raise SystemExit(
                    f"{self._job} is not done after {ROUND_S:.0f} s; see {self._house.directory}"
                )
            self._look()
            self._strike()
            self._revive()
            time.sleep(LOOK_EVERY_S)
        self._settle()
        moves, head = self._house.result(self._job)
        return Outcome(moves, head, self._struck, self._runners, time.monotonic() - began)

    def _look(self) -> None:
        """See how far the journal is, and which kills it has got over."""
        durable = self._house.durable(self._job)
        if durable is None:
            return
        for place, (kill, when, step) in enumerate(self._open):
            if kill.victim == "redis" and durable < step:
                self._lost[when] = step - durable
                self._open[place] = (kill, when, durable)
            if kill.victim == "model server" and time.monotonic() < when + FLUSH_S:
                self._open[place] = (kill, when, durable)
        if any(durable > step for _, _, step in self._open):
            self._settle()
        self._steps = durable

    def _settle(self) -> None:
        now = time.monotonic()
        self._struck += [
            Struck(kill.victim, step + self._lost[when], now - when, self._lost[when])
            for kill, when, step in self._open
        ]
        self._open.clear()

    def _strike(self) -> None:
        if not self._kills or not self._due(self._kills[0]):
            return
        victim = self._kills[0].victim
        process = self._house.process(victim)
        if not process.runs:
            return  # still away after an earlier kill; it is killed once it is back
        kill = self._kills.pop(0)
        self._look()
        process.kill()
        now = self._last_kill = time.monotonic()
        self._reached = None
        self._open.append((kill, now, self._steps))
        self._back.append((now + kill.outage_s, victim))

    def _due(self, kill: Kill) -> bool:
        now = time.monotonic()
        if kill.step is None:
            return now >= self._last_kill + kill.after_s
        if self._reached is None and self._steps >= kill.step:
            self._reached = now
        return self._reached is not None and now >= self._reached + kill.after_s

    def _revive(self) -> None:
        """Start again who is due, and resume a job whose runner gave up."""
        now = time.monotonic()
        for entry in [entry for entry in self._back if entry[0] <= now]:
            self._back.remove(entry)
            if entry[1] == "runner":
                self._begin()
            else:
                self._house.process(entry[1]).start()
        if self._house.runner.code not in (None, 0):
            self._begin()

    def _begin(self) -> None:
        self._runners += 1
        if self._runners > MOST_RUNNERS:
            raise SystemExit(f"{self._job} has used up {MOST_RUNNERS} runners; see {self._house.directory}")
        self._house.begin(self._job)


def play(house: House, job: str, kills: list[Kill]) -> Outcome:
    """Run one job through `kills` to its end."""
    return Round(house, job, kills).play()


def plan(rounds: int, steps: int, rng: random.Random) -> list[list[Kill]]:
    """Draw one to three kills for each round, the victims equally often over all of them."""
    counts = [rng.randint(1, 3) for _ in range(rounds)]
    deck = [VICTIMS[number % len(VICTIMS)] for number in range(sum(counts))]
    rng.shuffle(deck)
    victims = iter(deck)
    return [_kills([next(victims) for _ in range(count)], steps, rng) for count in counts]


def _kills(victims: list[Victim], steps: int, rng: random.Random) -> list[Kill]:
    """Kill at a step, or soon after the kill before, while that is perhaps not got over."""
    at = sorted(rng.randrange(steps * 4 // 5) for _ in victims)
    kills = []
    for number, victim in enumerate(victims):
        step = None if number and rng.random() < 0.3 else at[number]
        after_s = rng.uniform(0, 1.5) if step is None else rng.uniform(0, 0.1)
        kills.append(Kill(victim, step, after_s, rng.choice([0.0, rng.uniform(0, MOST_OUTAGE_S)])))
    return kills


def table(struck: list[Struck]) -> Table:
    """What the kills of all rounds cost."""
    rows = []
    for victim in (*VICTIMS, None):
        mine = [entry for entry in struck if victim in (None, entry.victim)]
        seconds = [entry.recovery_s for entry in mine] or [0.0]
        again = str(sum(entry.decided_again for entry in mine))
        mean, longest = sum(seconds) / len(seconds), max(seconds)
        rows.append((victim or "all", str(len(mine)), again, f"{mean:.2f} s", f"{longest:.2f} s"))
    columns = ("killed with -9", "times", "steps decided again", "recovery, mean", "recovery, longest")
    return shown("What the kills cost", columns, rows)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--disks", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.suppress(KeyboardInterrupt), house(given.disks) as made:
        sys.exit(chaos(made, given.rounds, given.seed))
    sys.exit(130)


def chaos(made: House, rounds: int, seed: int) -> int:
    """Play all rounds, print what came of them, and return how many ended differently."""
    console = Console(width=110)
    calm = play(made, "calm", [])
    console.print(
        f"undisturbed: {optimal_length(made.disks)} steps in {calm.seconds:.1f} s, head {calm.head}"
    )
    struck: list[Struck] = []
    differing = 0
    for number, kills in enumerate(plan(rounds, optimal_length(made.disks), random.Random(seed)), 1):
        outcome = play(made, f"chaos-{number}", kills)
        same = (outcome.moves, outcome.head) == (calm.moves, calm.head)
        differing += not same
        struck += outcome.struck
        killed = ", ".join(f"{entry.victim} at step {entry.step}" for entry in outcome.struck)
        console.print(
            f"round {number}/{rounds}: {killed}: {'identical' if same else 'DIFFERENT'} after {outcome.runners} runners, "
            f"{outcome.seconds:.1f} s",
            soft_wrap=True,
        )
    console.print(table(struck))
    console.print(
        f"{rounds} rounds of {made.disks} disks: {rounds - differing} identical, {differing} differing"
    )
    return min(differing, 1)


if __name__ == "__main__":
    main()

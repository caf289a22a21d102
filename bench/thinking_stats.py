"""One setting's results, and what may be said about them: intervals, and comparisons on the same problems."""

import math
from dataclasses import dataclass
from statistics import NormalDist

Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Run:
    """One setting of one control on the problems of one difficulty."""

    difficulty: str
    control: str
    setting: str
    right: str
    """A 1 or a 0 for each problem."""
    thinking: float
    """Means for a problem, in tokens."""
    output: float
    input: float
    seconds: float
    note: str = ""

    @property
    def problems(self) -> int:
        return len(self.right)

    @property
    def hits(self) -> int:
        return self.right.count("1")

    @property
    def accuracy(self) -> float:
        return self.hits / self.problems

    @property
    def name(self) -> str:
        return f"{self.control} {self.setting}".strip()


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson 1927)."""
    share, extra = hits / trials, Z**2 / trials
    middle = (share + extra / 2) / (1 + extra)
    half = Z / (1 + extra) * math.sqrt(share * (1 - share) / trials + extra / (4 * trials))
    return middle - half, middle + half


def discordant(run: Run, plain: Run) -> tuple[int, int]:
    """Return on how many problems only `run` is right, and on how many only `plain`."""
    pairs = list(zip(run.right, plain.right, strict=True))
    return pairs.count(("1", "0")), pairs.count(("0", "1"))


def paired(won: int, lost: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a paired difference of shares: Wald's, adjusted (Bonett and Price 2012)."""
    plus, minus = (won + 1) / (trials + 2), (lost + 1) / (trials + 2)
    half = Z * math.sqrt((plus + minus - (plus - minus) ** 2) / (trials + 2))
    return plus - minus - half, plus - minus + half


def mcnemar(won: int, lost: int) -> float:
    """Return the exact two-sided p of McNemar's test."""
    fewer: int = sum(math.comb(won + lost, i) for i in range(min(won, lost) + 1))
    return min(1.0, 2 * fewer / (1 << (won + lost)))


def beats(run: Run, other: Run) -> bool:
    """Whether a setting is at least as right for at most as many tokens, and not equal in both."""
    mine, theirs = (run.hits, -run.output), (other.hits, -other.output)
    return run is not other and mine != theirs and mine[0] >= theirs[0] and mine[1] >= theirs[1]

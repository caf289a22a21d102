"""From the error rate of one sample to the reliability, the votes and the price of a whole job.

The formulas are those of Meyerson et al. 2025, "Solving a Million-Step LLM Task with Zero Errors" (arXiv 2511.09030),
section 3.2, in its notation: `p` is the probability that a valid sample gets one step right, `k` the lead that decides
an election, `s` (here `steps`) the number of steps, `m` the number of steps that one sample takes, `t` (here
`reliability`) the probability that the whole job is right.  They assume samples that err independently, the same `p`
at every step, and all wrong answers agreeing on one rival, which is the worst case for a given `p`.

Everything is computed from log-odds, so nothing is lost for a million steps and error rates of 1e-12, and nothing is
clamped: `p` and `k` are taken as they are given.
"""

import math
from dataclasses import dataclass

from surefoot.errors import BadInput, SurefootError
from surefoot.typed_input import check_fields

from .bounds import binomial_upper


class Unreachable(SurefootError):
    """The right answer is not in the majority, so that no number of votes can promise the reliability asked for."""


def p_vote(p: float, m: int = 1) -> float:
    """Return the probability p^m that a sample of `m` steps is right in all of them."""
    return float(_probability("p", p) ** _count("m", m))


def p_alt(p: float, m: int = 1) -> float:
    """Return the probability (1 - p) p^(m-1) of the strongest rival: right but for one particular step."""
    return float((1 - _probability("p", p)) * p ** (_count("m", m) - 1))


def p_step(p: float, k: int) -> float:
    """Return the probability 1 / (1 + ((1-p)/p)^k) that first-to-ahead-by-k elects the right ballot.

    The same for every `m`, since `p_vote / p_alt` is.  With several wrong candidates it is a lower bound.
    """
    return math.exp(_log_p_step(p, k))


def p_full(p: float, k: int, steps: int, m: int = 1) -> float:
    """Return the probability (1 + ((1-p)/p)^k)^(-s/m) that all elections of a job elect the right ballot.

    `s/m` is rounded up to whole elections.  Close to 1 use `risk`, which keeps its digits.
    """
    return math.exp(_log_p_full(p, k, steps, m))


def risk(p: float, k: int, steps: int, m: int = 1) -> float:
    """Return 1 - p_full, the probability of at least one wrong step, to full precision however small it is."""
    return -math.expm1(_log_p_full(p, k, steps, m))


def vote_risk(p: float, margin: int) -> float:
    """Return the posterior probability that a step decided with this margin is wrong: 1 / (1 + (p/(1-p))^margin).

    The margin is the winner's lead over the runner-up; how many votes it took does not matter, since one for the
    winner and one for the rival cancel in the likelihood ratio.  Neither answer is favoured beforehand.
    """
    return risk(p, margin, 1)


def dissent_bound(dissent: int, votes: int, k: int, confidence: float = 0.95) -> float | None:
    """Return an upper bound of the error rate per vote, from the votes against the winners of a run; None if they tell nothing.

    The first ballot of an election names a candidate and cannot dissent, and there are at most votes / k elections: so many
    votes are left out of the trials of the exact binomial bound.  At k = 1 none is left.  A unanimous error leaves no
    dissent, so this holds only where mistakes of one step are independent of each other.
    """
    trials = votes - votes // _count("k", k)
    return binomial_upper(min(dissent, trials), trials, confidence) if trials else None


def dissent_risk(dissent: int, votes: int, k: int, steps: int) -> float | None:
    """Return the risk of a job of `steps` steps at the `dissent_bound`, all steps being alike; None if votes tell nothing."""
    bound = dissent_bound(dissent, votes, k)
    return None if bound is None else risk(1 - bound, k, steps)


def k_min(p: float, steps: int, reliability: float, m: int = 1) -> int:
    """Return the least `k` with p_full >= reliability: ceil( ln(t^(-m/s) - 1) / ln((1-p)/p) ), at least 1.

    Raises `Unreachable` for p <= 0.5.
    """
    odds = _log_odds(p)
    wanted = math.log(_reliability(reliability))
    if odds <= 0:
        raise Unreachable(
            f"only p = {p!r} of the samples are right, and at 0.5 or less a reliability of {reliability!r} cannot be promised: "
            "votes help there only as far as wrong answers differ; use a stronger model, a better prompt or smaller steps"
        )
    slack = -wanted / _elections(steps, m)
    if slack >= math.log(2):
        return 1
    k = max(1, math.ceil(-math.log(math.expm1(slack)) / odds))
    # Rounding may lift the closed form past a whole number: for one step with t = p, k = 1 must count as enough.
    while k > 1 and _log_p_full(p, k - 1, steps, m) >= wanted * (1 + 1e-12):
        k -= 1
    return k


def largest_error(k: int, steps: int, reliability: float, m: int = 1) -> float:
    """Return the largest error rate 1 - p per sample and step for which `k` still suffices: k_min solved for p."""
    slack, k = -math.log(_reliability(reliability)) / _elections(steps, m), _count("k", k)
    if slack >= math.log(2):
        return 0.5
    ratio = math.exp(math.log(math.expm1(slack)) / k)
    return ratio / (1 + ratio)


def expected_votes(p: float, k: int, m: int = 1) -> float:
    """Return the exact expected number of ballots until one of two candidates is `k` ahead.

    The hitting time of the gambler's ruin, k (2 p_step - 1) / (2p - 1), with the limit k^2 at p = 0.5 (Feller, An
    Introduction to Probability Theory, vol. 1, XIV.3).  Several wrong candidates elect no wrong one so soon, which
    can take more votes, but for p > 0.5 no more than the paper's k / (2p - 1), the limit for large k.

    For `m` > 1 the walk is lazy: up with p_vote, down with p_alt, else it stays, which divides by p^(m-1).  Ballots
    that stay are taken to be strays that never matter; each does ask for a larger lead, so it takes slightly more.
    """
    odds, k = _log_odds(p), _count("k", k)
    moves = float(k * k) if odds == 0 else k * math.tanh(k * odds / 2) / math.tanh(odds / 2)
    moving = float(p ** (_count("m", m) - 1))
    return moves / moving if moving else math.inf


def expected_samples(p: float, k: int, m: int = 1, valid_rate: float = 1.0) -> float:
    """Return the expected number of samples to draw for one election, of which `valid_rate` raise no red flag."""
    if _probability("valid_rate", valid_rate) == 0:
        raise BadInput(
            "valid_rate must be above 0: if every sample is thrown away no election is ever decided"
        )
    return expected_votes(p, k, m) / valid_rate


@dataclass(frozen=True, slots=True)
class Price:
    """What tokens cost, in one currency per million tokens."""

    input_per_mtok: float
    output_per_mtok: float
    cached_per_mtok: float | None = None
    """Input tokens found in the prefix cache; None where they cost as much as the others."""

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("input_per_mtok", "output_per_mtok", "cached_per_mtok"):
            price = getattr(self, name)
            if price is not None and not 0 <= price < math.inf:
                raise BadInput(f"{name}, a price per million tokens, must be 0 or more, not {price!r}")

    def of(self, input_tokens: float, output_tokens: float, cached_tokens: float = 0.0) -> float:
        """Return the cost of these tokens; `cached_tokens` are among `input_tokens`."""
        cached = self.input_per_mtok if self.cached_per_mtok is None else self.cached_per_mtok
        fresh = (input_tokens - cached_tokens) * self.input_per_mtok
        return (fresh + cached_tokens * cached + output_tokens * self.output_per_mtok) / 1e6


@dataclass(frozen=True, slots=True)
class PerSample:
    """What one sample takes on average, the thrown-away ones included."""

    input_tokens: float
    """As billed: a request for several samples bills its prompt once, so each sample bears a part."""
    output_tokens: float
    cached_tokens: float = 0.0
    """Those of the input tokens that the server finds in its prefix cache."""
    requests: float = 1.0
    """1 where every sample is a request of its own, 1/n where a request draws n."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a job will take, in total and on average, and the risk that it goes wrong."""

    k: int
    risk: float
    """The probability of at least one wrong step, 1 - p_full."""
    votes: float
    samples: float
    requests: float | None
    """None, as everything below, if the cost of a sample is unknown."""
    input_tokens: float | None
    cached_tokens: float | None
    output_tokens: float | None
    cost: float | None
    """In the price's currency; None without a price."""

    @classmethod
    def of(
        cls,
        k: int,
        risk: float,
        votes: float,
        *,
        valid_rate: float = 1.0,
        per_sample: PerSample | None = None,
        price: Price | None = None,
    ) -> "Forecast":
        """Return what so many votes take, where a share `valid_rate` of the samples raises no red flag."""
        samples = votes / valid_rate
        if per_sample is None:
            return cls(k, risk, votes, samples, None, None, None, None, None)
        requests = samples * per_sample.requests
        read, cached = samples * per_sample.input_tokens, samples * per_sample.cached_tokens
        written = samples * per_sample.output_tokens
        cost = None if price is None else price.of(read, written, cached)
        return cls(k, risk, votes, samples, requests, read, cached, written, cost)


def forecast(
    p: float,
    k: int,
    steps: int,
    *,
    m: int = 1,
    valid_rate: float = 1.0,
    per_sample: PerSample | None = None,
    price: Price | None = None,
) -> Forecast:
    """Say what a job of `steps` steps takes with first-to-ahead-by-k at `p`.

    The paper's expected cost (section 3.2), with the exact number of votes and with input tokens priced too.
    """
    elections = _elections(steps, m)
    votes = elections * expected_votes(p, k, m)
    expected_samples(p, k, m, valid_rate)  # refuses a rate that cannot be
    return Forecast.of(
        k, risk(p, k, steps, m), votes, valid_rate=valid_rate, per_sample=per_sample, price=price
    )


def _log_odds(p: float) -> float:
    """Return ln(p / (1-p)), exact near 0.5 as well as near 0 and 1."""
    if _probability("p", p) in (0, 1):
        return math.inf if p else -math.inf
    return math.log1p((2 * p - 1) / (1 - p)) if p >= 0.5 else -math.log1p((1 - 2 * p) / p)


def _log_p_step(p: float, k: int) -> float:
    """Return ln p_step, which for p near 1 holds digits that p_step itself cannot."""
    lead = _count("k", k) * _log_odds(p)
    return -math.log1p(math.exp(-lead)) if lead >= 0 else lead - math.log1p(math.exp(lead))


def _log_p_full(p: float, k: int, steps: int, m: int) -> float:
    return _elections(steps, m) * _log_p_step(p, k)


def _elections(steps: int, m: int) -> int:
    return -(-_count("steps", steps) // _count("m", m))


def _probability(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise BadInput(f"{name} is a probability and must lie between 0 and 1, not {value!r}")
    return value


def _reliability(value: float) -> float:
    if not 0 < value < 1:
        raise BadInput(f"the reliability must lie strictly between 0 and 1, not {value!r}; try 0.99")
    return value


def _count(name: str, value: int) -> int:
    if not isinstance(value, int) or value < 1:
        raise BadInput(f"{name} must be a whole number of at least 1, not {value!r}")
    return value

"""Whether a run still is as it was calibrated: the server, its cache, a quantisation, the kind of steps may change on the way."""

import math

ALARM = 100.0
"""Evidence from which on a run is said to have left what was calibrated: a run that has not comes to so much in one of a hundred jobs."""


def drift_evidence(contested: int, votes: int, bound: float) -> float:
    """Return the evidence that ballots err more often than `bound`, on average over steps, from a run's contested steps and its votes.

    A contested step counts once, however many votes it took: a hard one takes many, and that is no drift.  It has a wrong ballot among those
    that would have decided it had they agreed, so that no more than `bound` of so many ballots are to be expected.

    A mixture of likelihood ratios against the bound, over error rates of 2, 4, 8 ... times as much with weights 1/2, 1/4, 1/8 ... (Robbins
    1970, Ann. Math. Stat. 41:1397).  Its expectation is 1 at most while steps are drawn as they were calibrated, so it comes to `ALARM` with a
    probability of no more than 1 / `ALARM`, however often it is looked at (Ville 1939).  A mistake that all ballots of a step share is not seen, so this
    finds drift late rather than wrongly.  At a bound of 0.5 or more nothing is evidence.
    """
    bound = max(bound, 1e-12)
    logs, weight, rate = [], 1.0, 2 * bound
    while rate < 1:
        weight /= 2
        logs.append(
            math.log(weight)
            + contested * math.log(rate / bound)
            + (votes - contested) * (math.log1p(-rate) - math.log1p(-bound))
        )
        rate *= 2
    if not logs:
        return 0.0
    most = max(logs)
    return math.exp(min(700.0, most + math.log(math.fsum(math.exp(each - most) for each in logs))))

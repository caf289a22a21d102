"""How many tokens a vLLM should draft at which batch size, from what it has counted itself.

    counters = read_draft_counters(httpx.get("http://gpu:8000/metrics").text)
    lengths = draft_lengths(counters.acceptances(), {1: DraftCost(0.05), 64: DraftCost(0.6)})   # by batch size
    config = speculative_config({"method": "eagle3", "model": "..."}, lengths)         # for --speculative-config

Speculation that changes what is sampled is refused: ballots would not be the model's.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from surefoot.errors import BadInput
from surefoot.models.draft_length import best_length, expected_runs
from surefoot.models.openai.vllm import spoiled
from surefoot.models.streaming import Token

from .figures import vllm_figures

COUNTERS = {
    "vllm:spec_decode_num_drafts_total": "drafts",
    "vllm:spec_decode_num_draft_tokens_total": "draft_tokens",
    "vllm:spec_decode_num_accepted_tokens_total": "accepted",
}
PER_POSITION = "vllm:spec_decode_num_accepted_tokens_per_pos_total"
MOST_POSITIONS = 1024
FULL = 0.9
"""Share of the drafts' tokens that must have been asked for: of shorter drafts nobody counts how many reach a position."""
LOSSY = ("fly", "synthetic")
"""Values of `rejection_sample_method` that accept what the model would not."""


class LossySpeculation(BadInput):
    """Speculation changes what a server samples."""


class DraftCounters(NamedTuple):
    """What vLLM has counted over its engines since it started, or between two looks."""

    drafts: float
    draft_tokens: float
    accepted: float
    per_position: tuple[float, ...]
    """Drafts of which the token at this position, and so all before it, were accepted."""

    def acceptances(self) -> list[float]:
        """Return the acceptance at each position, of those drafts that were right up to there; raises `BadInput` if that cannot be told."""
        if self.drafts <= 0 or not self.per_position:
            raise BadInput("nothing was drafted yet: ask the server for some thousand tokens first")
        reached = (self.drafts, *self.per_position)
        if any(later > earlier for earlier, later in pairwise(reached)):
            raise BadInput(f"more tokens were accepted than drafted: {self!r} are no counters of one vLLM")
        if abs(sum(self.per_position) - self.accepted) > 0.01 * self.accepted + 1:
            raise BadInput(f"the positions do not add up to the {self.accepted:g} accepted tokens: {self!r}")
        if self.draft_tokens < FULL * self.drafts * len(self.per_position):
            raise BadInput(
                f"drafts had {self.draft_tokens / self.drafts:.2f} tokens of {len(self.per_position)} on average, and how many reach a "
                f"position is not counted: measure with num_speculative_tokens fixed, without a table of batch sizes"
            )
        return [later / earlier for earlier, later in pairwise(reached) if earlier]


def read_draft_counters(text: str, before: str = "") -> DraftCounters:
    """Return the counters in the text of `/metrics`, less those of an earlier text; raises `BadInput` if there are none, or fewer than before."""
    now, then = _counted(text), _counted(before)
    if not now:
        raise BadInput(
            "there are no counters of speculation: was the server started with --speculative-config?"
        )
    found = {key: value - then.get(key, 0.0) for key, value in now.items()}
    if any(value < 0 for value in found.values()) or then.keys() - now.keys():
        raise BadInput("the counters have fallen: the server was started anew between the two looks")
    positions = sorted(key for key in found if isinstance(key, int))
    if positions != list(range(len(positions))):
        raise BadInput(f"positions of drafts count from 0 without a gap, not {positions!r}")
    return DraftCounters(
        drafts=found.get("drafts", 0.0),
        draft_tokens=found.get("draft_tokens", 0.0),
        accepted=found.get("accepted", 0.0),
        per_position=tuple(found[place] for place in positions),
    )


def _counted(text: str) -> dict[str | int, float]:
    """Return the counters, added up over engines, by name and by position."""
    found: dict[str | int, float] = {}
    for figure in vllm_figures(text):
        key: str | int | None = COUNTERS.get(figure.name)
        if figure.name == PER_POSITION:
            place = figure.label("position") or ""
            if not (place.isascii() and place.isdecimal() and len(place) < 5 and int(place) < MOST_POSITIONS):
                raise BadInput(
                    f"a position of a draft is a number below {MOST_POSITIONS}, not {place[:20]!r}"
                )
            key = int(place)
        if key is None:
            continue
        found[key] = found.get(key, 0.0) + figure.value
        if figure.value < 0 or found[key] == math.inf:
            raise BadInput(f"a counter is a number from 0 up: {figure.name} {figure.value!r}")
    return found


class DraftCost(NamedTuple):
    """What drafts cost in a batch of some size; the unit is one pass of the target with one token a text."""

    token: float
    """Each drafted token, and its verification."""
    round: float = 0.0
    """A round of any length beside a pass without speculation."""

    @classmethod
    def measured(cls, plain_s: float, rounds_s: Mapping[int, float]) -> "DraftCost":
        """Return the cost by the seconds a token without speculation, and the seconds a round at two lengths or more, the first and last of which count.

        Raises `BadInput` for less than that.
        """
        if plain_s <= 0 or len(rounds_s) < 2:
            raise BadInput(
                f"costs need a time without drafts and two lengths, not {plain_s!r} and {dict(rounds_s)!r}"
            )
        (few, few_s), *_, (many, many_s) = sorted(rounds_s.items())
        token_s = max(0.0, (many_s - few_s) / (many - few))
        return cls(token_s / plain_s, (few_s - few * token_s) / plain_s - 1)


def draft_lengths(acceptances: Sequence[float], costs: Mapping[int, DraftCost]) -> dict[int, int]:
    """Return the best number of drafted tokens, at most as many as there are acceptances, for each batch size that has a cost; 0 where drafts do not pay."""
    for chance in acceptances:
        if not 0 <= chance <= 1:
            raise BadInput(f"an acceptance is a share from 0 to 1, not {chance!r}")
    runs = expected_runs(acceptances)
    found = {}
    for batch, cost in sorted(costs.items()):
        if batch < 1 or not (0 <= cost.token < math.inf and -1 < cost.round < math.inf):
            raise BadInput(
                f"batch sizes count from 1, and costs are no less than nothing: not {batch!r}: {cost!r}"
            )
        rounds = [1 + cost.round + cost.token * length for length in range(1, len(runs))]
        found[batch] = best_length(runs, [1.0, *rounds])
    return found


def speculative_config(
    base: Mapping[str, Any], lengths: Mapping[int, int], samples: Sequence[Token] = ()
) -> dict[str, Any] | None:
    """Return what vLLM's `--speculative-config` takes, as a value for JSON; None if drafts pay at no batch size.

    `base` has method and model; each batch size of `lengths` is the last of its range.  `samples` are tokens that the server drew at
    temperature 1 with log-probabilities, speculation on; raises `LossySpeculation` if they are not the model's, or `base` says so.
    """
    if base.get("rejection_sample_method") in LOSSY:
        raise LossySpeculation(
            f"rejection_sample_method {base['rejection_sample_method']!r} accepts tokens that the model would not: leave it out"
        )
    if spoiled(samples):
        raise LossySpeculation(
            "samples hold tokens that their own model takes for impossible: speculation changes what is drawn, as by n-grams on vLLM's CPU build"
        )
    most = max(lengths.values(), default=0)
    if most == 0:
        return None
    ranges: list[list[int]] = []
    first = 1
    for batch, length in sorted(lengths.items()):
        if ranges and ranges[-1][2] == length:
            ranges[-1][1] = batch
        else:
            ranges.append([first, batch, length])
        first = batch + 1
    table = {"num_speculative_tokens_per_batch_size": ranges} if len(ranges) > 1 else {}
    return {**base, "num_speculative_tokens": most, **table}

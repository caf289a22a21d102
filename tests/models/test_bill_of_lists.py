"""What several prompts in one request are billed, where a server says more of one of them than of the others."""

import pytest

from surefoot.models.openai.batches import Batch
from surefoot.models.openai.samples import billed as billed_request
from surefoot.models.openai.samples import samples_of
from surefoot.models.openai.wire import Choice, Reply
from surefoot.voting.samples import Usage


def billed(usage: Usage, prompts: int, n: int, counts_all: bool) -> tuple[Usage, Usage]:
    """Return the bill of the request, and the sum of what its samples are billed."""
    batch = Batch(tuple(map(str, range(prompts))), n, 0.7, 50, None, tuple(range(prompts * n)))
    reply = Reply([Choice("42", "stop")] * (prompts * n), usage, True)
    bill = billed_request(reply, batch, counts_all)
    return bill, Usage.of_all(sample.usage for _, sample in samples_of(batch, reply, bill))


@pytest.mark.parametrize("counts_all", [True, False])
@pytest.mark.parametrize(("prompts", "n"), [(2, 1), (3, 1), (3, 4), (7, 2)])
def test_what_came_from_the_cache_is_booked_once_for_a_list_of_prompts(
    prompts: int, n: int, counts_all: bool
) -> None:
    """W6: vLLM tells the cached tokens of one prompt of a list, and they were booked for each."""
    bill, shared = billed(Usage(prompt=20, cached=16, completion=3), prompts, n, counts_all)
    assert bill.cached == 16
    assert shared == bill


def test_a_server_that_counts_its_first_sample_alone_is_multiplied_but_for_the_cache() -> None:
    bill, shared = billed(Usage(prompt=20, cached=16, completion=3), 3, 2, False)
    assert bill == shared == Usage(prompt=60, cached=16, completion=18)

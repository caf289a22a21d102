"""From the reply to a request to samples, and to what each of them costs."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from operator import sub

from surefoot.voting.samples import Sample, Usage

from .answers import answer_in, begun_thinking
from .batches import Batch
from .dialect import cut_at
from .function_calling import normal_end, text_with_calls
from .wire import Reply


def cut_at_stops(reply: Reply, said: Mapping[str, object]) -> Reply:
    """Return the reply as a server that knows stop strings would have sent it."""
    stops = said.get("stop")
    stops = (stops,) if isinstance(stops, str) else tuple(stops) if isinstance(stops, tuple | list) else ()
    cut = [(choice, cut_at(choice.text, stops)) for choice in reply.choices]
    return reply._replace(
        choices=[
            choice
            if text == choice.text
            else choice._replace(text=text, finish="stop", calls=(), logprob=None)
            for choice, text in cut
        ]
    )


def samples_of(batch: Batch, reply: Reply, usage: Usage) -> Iterator[tuple[int, Sample]]:
    """Yield (position, sample) for each answer of a request, whose bill they share."""
    several = len(batch.positions) > 1
    shares = _shared_out(usage, len(batch.positions))
    # Of several answers to one prompt some servers count it once, others each time.
    alone = len(batch.positions) == 1
    prompt_tokens = usage.prompt or None if alone else None
    begun = [text for prompt in batch.prompts for text in [begun_thinking(prompt)] * batch.n]
    for place, (position, choice) in enumerate(zip(batch.positions, reply.choices, strict=True)):
        share, tokens = shares[place], None if several or not reply.counted else usage.completion
        if reply.each:
            own = reply.each[place].usage()
            tokens, share = own.completion, share._replace(completion=own.completion, reasoning=own.reasoning)
        text = answer_in(choice.text, begun[place], told=bool(choice.thought))
        finish = choice.finish
        if batch.offer is not None:
            finish = normal_end(finish)
            text = text_with_calls(text, choice.calls, finish)
        yield position, Sample(text, finish, tokens, share, prompt_tokens, choice.logprob)


def billed(reply: Reply, batch: Batch, counts_all: bool) -> Usage:
    """Return the usage of a whole request.

    llama.cpp reports that of its first sample only, which is multiplied: an estimate.  Where it reports each choice by
    itself, the prompt is in every one.  What came from the cache is said of one prompt of a list, and taken for no more.
    """
    usage, samples = reply.usage, len(batch.positions)
    if reply.each:
        return usage._replace(prompt=usage.prompt // batch.n, cached=usage.cached // batch.n)
    if counts_all:
        return usage
    return usage._replace(
        prompt=usage.prompt * len(batch.prompts),
        completion=usage.completion * samples,
        reasoning=usage.reasoning * samples,
    )


def _shared_out(usage: Usage, samples: int) -> list[Usage]:
    """Divide the usage of a request evenly among its samples, which may belong to different steps; the sum is exact."""
    if samples == 1:
        return [usage]
    bounds = [Usage(*(tokens * number // samples for tokens in usage)) for number in range(samples + 1)]
    return [Usage(*map(sub, after, before)) for before, after in pairwise(bounds)]

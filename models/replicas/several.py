"""Several servers of one model as one `Model`."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Any, Self

from surefoot.errors import BadInput
from surefoot.models.base import Ask, Model, ModelUnavailable, check_model, context_of
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.options import Options
from surefoot.models.server_load import ServerLoad, server_load_of
from surefoot.voting.samples import NOTHING, Sample, Usage

from .affinity import beginning
from .odd_one_out import OddOneOut
from .one_call import OneCall
from .replica import Assignment, BreakerState, Replica, ReplicaCounts
from .roster import Roster, meet

TRIAL_TOKENS = 16
"""What a replica that was left alone is tried with, as long as others answer."""


class Replicas:
    """A `Model` over several servers that serve the same one.

        Replicas([a, b, c])                                  each ask to one of them
        Replicas([a, b, c], key=lambda ask: "part-7")        what keeps together on one; without, the beginning of the prompt does
        Replicas([a, b, c], options=Options(hedge=0.05))     late asks, 5 % of all at most, are asked of a second one, too; the first answer counts
        Replicas([a, b, c], options=Options(compare=0.005))  one ask in 200 is asked of two more: who differs beyond chance is set aside

    An ask goes to its key's own replica, by rendezvous hashing, unless that would cost 1.5 times as much there as where it costs least:
    outstanding asks times the square of the latency.  After two failures in a row a replica is left alone for a growing time, its asks go elsewhere, and it
    is then tried with one.  Only when none answers the patience of `options` decides; `ModelUnavailable` then names them all.  A request that one
    refuses is sent to one other: if that answers, the first has failed, otherwise the refusal is raised.

    `options` gives patience, callbacks and these shares for all together; `on_notice` is told, a sentence each, when a replica is left alone, is back, or is set
    aside.  A model of yours with a patience of its own keeps its asks for as long: `Options(patience_s=0)` for each lets them go elsewhere
    at once, as `open_model` does.

    The cost: of a hedged ask as much is billed again as the answer that counts took; what a trial or a comparison took is on the bill of a
    later sample, and in `unbilled` until then.

    Raises `BadInput` for fewer than two models, for comparing fewer than three, and, once their names are known, if these differ.
    """

    def __init__(
        self,
        models: Sequence[Model],
        *,
        key: Callable[[Ask], str] = beginning,
        options: Options | None = None,
    ) -> None:
        options = options or Options()
        for model in models:
            if isinstance(model, str):
                raise BadInput(
                    "replicas are models: `open_model` takes their addresses, a comma and a blank between them"
                )
            check_model(model)
        if len(models) < 2:
            raise BadInput(f"replicas are two models or more, not {len(models)}")
        if options.compare and len(models) < 3:
            raise BadInput("of two replicas that differ nobody can say which is wrong: compare three or more")
        servers = [
            model.server if isinstance(model, OpenAIModel) else f"replica {number}"
            for number, model in enumerate(models, 1)
        ]
        if twice := [server for server in servers if servers.count(server) > 1]:
            raise BadInput(f"replicas have different addresses, but there are two of {twice[0]}")
        self.unbilled: Usage = NOTHING
        """What trials and comparisons took that is on no sample's bill yet."""
        self._roster = Roster(list(zip(servers, models, strict=True)), key, options)
        self._compare, self._to_compare = options.compare, 0.0
        self._odd: OddOneOut[Replica] = OddOneOut(len(models))
        self._random = random.Random(0)
        self._meeting = asyncio.Lock()
        self._ready = self._told_of_failure = False
        self._beside: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """What reports and journals call it: the name that they share."""
        return self._roster.name

    def counts(self) -> tuple[ReplicaCounts, ...]:
        """Return how each replica has done so far, in the order in which they were given."""
        return tuple(each.counts() for each in self._roster.replicas)

    async def context(self) -> int | None:
        """Return how many tokens every replica takes, prompt and answer together; None if none says it."""
        await self.ready()
        found = await asyncio.gather(
            *(context_of(each.model) for each in self._roster.replicas if each.met), return_exceptions=True
        )
        return min((said for said in found if isinstance(said, int)), default=None)

    def server_load(self) -> ServerLoad | None:
        """Return what was asked of all replicas so far."""
        return server_load_of(*(each.model for each in self._roster.replicas))

    async def ready(self) -> None:
        """Find out who is there and what they serve; those that are not are left alone for now.

        Raises `ModelUnavailable` if none is there, `BadInput` if two serve different models.
        """
        async with self._meeting:
            if self._ready:
                return
            found = await asyncio.gather(
                *(meet(each) for each in self._roster.replicas), return_exceptions=True
            )
            for replica, error in zip(self._roster.replicas, found, strict=True):
                if isinstance(error, ModelUnavailable):
                    replica.error = str(error)
                elif error is not None:
                    raise error
            there = [each for each in self._roster.replicas if each.met]
            if not there:
                raise ModelUnavailable(
                    f"none of {len(self._roster.replicas)} replicas answers: {self._roster.errors()}"
                )
            if other := next((each for each in there if each.model.name != there[0].model.name), None):
                raise BadInput(
                    f"replicas serve one model, but {there[0].server} serves {there[0].model.name!r} and {other.server} "
                    f"{other.model.name!r}: name the one that is meant in each address, URL#NAME"
                )
            for each in self._roster.replicas:
                if not each.met:
                    each.leave_alone(each.error)
            self._ready = True

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask; see `Model`."""
        await self.ready()
        self._roster.asked += len(asks)
        if asks:
            self._try_again(asks[0])
        async with aclosing(OneCall(self._roster, asks).samples()) as answers:
            async for position, sample, replica in answers:
                self._consider(asks[position], sample, replica)
                if self.unbilled != NOTHING:
                    sample = sample._replace(usage=sample.usage + self.unbilled)
                    self.unbilled = NOTHING
                yield position, sample

    async def aclose(self) -> None:
        """End what is asked beside the samples: trials and comparisons.  The models stay their owner's to close."""
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def _try_again(self, ask: Ask) -> None:
        """Try those that were left alone for long enough, with a copy of an ask: nobody waits for them as long as others answer."""
        if not self._roster.healthy:
            return
        short = ask._replace(max_tokens=min(ask.max_tokens, TRIAL_TOKENS))
        for each in self._roster.replicas:
            if each.due:
                self._ask_beside(self._try_one(given := each.assign(1), short), [given])

    async def _try_one(self, given: Assignment, ask: Ask) -> None:
        with suppress(ModelUnavailable):
            await self._one(given, ask)

    async def _one(self, given: Assignment, ask: Ask) -> Sample:
        """Return the sample of one ask that is only looked at, never counted."""
        found: list[Sample] = []
        await self._roster.ask(given, [ask], lambda _, sample: found.append(sample))
        self.unbilled += found[0].usage
        return found[0]

    def _consider(self, ask: Ask, sample: Sample, replica: Replica) -> None:
        """Ask two more replicas, too, if it is an ask's turn."""
        self._to_compare += self._compare
        if self._to_compare < 1:
            return
        self._to_compare -= 1
        others = [each for each in self._roster.healthy if each is not replica]
        if len(others) >= 2 and replica.state is BreakerState.CLOSED:
            given = [each.assign(1) for each in self._random.sample(others, 2)]
            self._ask_beside(self._compared(ask, sample, replica, given), given)

    async def _compared(
        self, ask: Ask, sample: Sample, replica: Replica, given: Sequence[Assignment]
    ) -> None:
        found = await asyncio.gather(*(self._one(each, ask) for each in given), return_exceptions=True)
        texts = {replica: sample.text}
        for each, said in zip(given, found, strict=True):
            if isinstance(said, ModelUnavailable):
                return
            if isinstance(said, BaseException):
                raise said
            texts[each.replica] = said.text
        odd = self._odd.see(texts)
        if odd is not None and odd.state is not BreakerState.SET_ASIDE:
            times, of = self._odd.times(odd)
            odd.set_aside(
                f"where three replicas were asked the same and one differed from the two others, it was this one {times:,} times of "
                f"{of:,}, which is beyond chance"
            )

    def _ask_beside(self, work: Coroutine[Any, Any, None], given: Iterable[Assignment]) -> None:
        task = asyncio.create_task(work)
        self._beside.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._beside.discard(task)
            for each in given:
                each.over()  # It may have been cancelled before it began.
            if not task.cancelled() and (error := task.exception()) and not self._told_of_failure:
                self._told_of_failure = True
                self._roster.tell(f"a replica that was asked beside the samples failed: {error!r}")

        task.add_done_callback(ended)

"""One call of several replicas: which asks are owed, and who works on them."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any

from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_before_delay,
    wait_random_exponential,
)

from surefoot.models.base import Ask, ModelUnavailable
from surefoot.models.openai.answer_cache import AnswerFromCache
from surefoot.models.openai.failures import RequestRefused
from surefoot.voting.samples import Sample

from .affinity import digest
from .replica import Assignment, Replica
from .roster import Roster

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
"""Pauses while no replica answers are drawn uniformly between 0 and a limit that doubles from the first of these to the second."""


class _NoneAnswers(Exception):
    """Each replica has failed at these asks, or is left alone."""


class OneCall:
    """The asks of one call, each with the replica that is to answer it."""

    def __init__(self, roster: Roster, asks: Sequence[Ask]) -> None:
        self._roster, self._asks = roster, asks
        self._keys: dict[int, bytes] = {}
        self._owed = set(range(len(asks)))
        self._hedged: set[int] = set()
        self._late_after_s = roster.late_after_s()
        # Answers, and the tasks that have ended, in the order in which they came: so an end is seen after the last answer.
        self._found: asyncio.Queue[tuple[int, Sample, Replica] | asyncio.Task[None]] = asyncio.Queue()
        self._work: dict[asyncio.Task[None], list[int]] = {}

    async def samples(self) -> AsyncGenerator[tuple[int, Sample, Replica], None]:
        """Yield (position, sample, who answered) in the order of completion; closing it cancels what still runs."""
        self._hand_out()
        try:
            while self._owed:
                item = await self._found.get()
                if isinstance(item, asyncio.Task):
                    del self._work[item]
                    if not item.cancelled():
                        item.result()
                    continue
                position, sample, replica = item
                if position not in self._owed:
                    continue  # The slower of two, and billed already.
                self._owed.discard(position)
                if position in self._hedged:
                    sample = sample._replace(usage=sample.usage + sample.usage)
                    self._cancel_losers()
                yield position, sample, replica
        finally:
            # One that fails while it is cancelled may have begun another.
            while running := [task for task in self._work if not task.done()]:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
            await asyncio.gather(*self._work, return_exceptions=True)

    def _hand_out(self) -> None:
        """Give each ask to a replica: those of one key together, and all that one replica gets in one call, which the client may batch."""
        calls: dict[Replica, tuple[Assignment, list[int]]] = {}
        for group in self._groups(self._owed):
            replica = self._roster.choose(self._key(group[0]), len(group))
            if replica is None:
                self._begin(self._persist(group, set()), group)
            elif replica in calls:
                given, positions = calls[replica]
                given.add(len(group))
                positions += group
            else:
                calls[replica] = replica.assign(len(group)), group
        for given, positions in calls.values():
            self._give(given, positions)

    def _give(self, given: Assignment, positions: list[int]) -> None:
        self._begin(self._first(given, positions), positions, given)
        if self._late_after_s is not None:
            self._begin(self._watch(given.replica, positions, self._late_after_s), positions)

    async def _first(self, given: Assignment, positions: list[int]) -> None:
        left = dict.fromkeys(positions)
        if not await self._is_answered(given, positions, left):
            for group in self._groups(left):
                self._begin(self._persist(group, {given.replica}), group)

    async def _persist(self, positions: list[int], failed: set[Replica]) -> None:
        """Ask one replica after the other, and again after a pause, as the client's patience allows."""
        left = dict.fromkeys(positions)
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_NoneAnswers),
            wait=wait_random_exponential(FIRST_PAUSE_S, LONGEST_PAUSE_S),
            stop=stop_before_delay(self._roster.options.patience_s),
            before_sleep=self._roster.announce,
            retry_error_callback=self._roster.give_up,
        )
        await retrying(self._ask_each, left, failed)

    async def _ask_each(self, left: dict[int, None], failed: set[Replica]) -> None:
        while left:
            positions = list(left)
            replica = self._roster.choose(self._key(positions[0]), len(positions), failed)
            if replica is None:
                failed.clear()
                raise _NoneAnswers
            if not await self._is_answered(replica.assign(len(positions)), positions, left):
                failed.add(replica)

    async def _is_answered(self, given: Assignment, positions: list[int], left: dict[int, None]) -> bool:
        """Let a replica answer, and another what it refuses; return whether it has not failed, and raise a refusal if the two agree."""
        try:
            await self._ask(given, positions, left)
        except AnswerFromCache:
            raise
        except RequestRefused as refusal:
            await self._ask_another(given, left, refusal)
        except ModelUnavailable:
            return False
        return True

    async def _ask_another(self, given: Assignment, left: dict[int, None], refusal: RequestRefused) -> None:
        """Let another replica say whether it is the request that is to blame; raise the refusal if it is."""
        positions = list(left)
        if not positions:
            raise refusal
        other = self._roster.choose(self._key(positions[0]), len(positions), [given.replica])
        if other is None:
            raise refusal
        try:
            await self._ask(other.assign(len(positions)), positions, left)
        except ModelUnavailable:
            raise refusal from None
        given.failed(str(refusal), certain=True)

    async def _watch(self, first: Replica, positions: list[int], after_s: float) -> None:
        """Ask a second replica for what is late."""
        await asyncio.sleep(after_s)
        for group in self._groups(position for position in positions if position in self._owed):
            second = self._roster.second(self._key(group[0]), len(group), first)
            if second is not None:
                given = second.assign(len(group))
                self._hedged.update(group)
                self._begin(self._hedge(given, group), group, given)

    async def _hedge(self, given: Assignment, positions: list[int]) -> None:
        with suppress(ModelUnavailable):  # The first one may still answer, and says itself if not.
            await self._ask(given, positions, dict.fromkeys(positions))

    async def _ask(self, given: Assignment, positions: list[int], left: dict[int, None]) -> None:
        """Let a replica answer; what it has answered is `left` no more."""

        def take(place: int, sample: Sample) -> None:
            if not 0 <= place < len(positions) or (position := positions[place]) not in left:
                raise ModelUnavailable(
                    f"{given.replica.server} answered ask {place!r} of a call that does not owe it"
                )
            del left[position]
            self._found.put_nowait((position, sample, given.replica))

        await self._roster.ask(given, [self._asks[position] for position in positions], take)

    def _cancel_losers(self) -> None:
        for task, positions in self._work.items():
            if self._owed.isdisjoint(positions):
                task.cancel()

    def _begin(
        self, work: Coroutine[Any, Any, None], positions: list[int], given: Assignment | None = None
    ) -> None:
        task = asyncio.create_task(work)
        self._work[task] = positions
        task.add_done_callback(self._found.put_nowait)
        if given is not None:
            task.add_done_callback(lambda _: given.over())  # It may have been cancelled before it began.

    def _groups(self, positions: Iterable[int]) -> list[list[int]]:
        groups: dict[bytes, list[int]] = {}
        for position in positions:
            groups.setdefault(self._key(position), []).append(position)
        return list(groups.values())

    def _key(self, position: int) -> bytes:
        if position not in self._keys:
            self._keys[position] = digest(self._roster.key(self._asks[position]))
        return self._keys[position]

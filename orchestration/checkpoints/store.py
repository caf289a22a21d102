"""A thread's checkpoints as bytes: what the saver asks of Redis, with nothing of LangGraph's serializers in it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from surefoot.errors import BadInput, SurefootError

from .codec import SEP, CheckpointAddress, CheckpointRecord, Write, channel_of, storable_name
from .gate import Gate
from .layout import Layout
from .scripts import BATCH, DELETE_RUNS, PRUNE, PUT, PUT_WRITES, READ, READ_LATEST

PAGE = 32


class LostValue(SurefootError):
    """The store no longer holds a value that one of its checkpoints refers to."""


class StoredCheckpoint(NamedTuple):
    """A checkpoint as read: `blobs` has each value that it holds, by the blob's name."""

    address: CheckpointAddress
    record: CheckpointRecord
    blobs: Mapping[str, bytes]
    writes: Sequence[Write]


class Store:
    """Checkpoints under one prefix. Each method is one atomic call unless it says otherwise; all may be repeated.

    keep: how many checkpoints of each thread and namespace stay; None keeps all.
    """

    def __init__(self, gate: Gate, layout: Layout, keep: int | None) -> None:
        if keep is not None and keep < 1:
            raise BadInput(
                f"The saver cannot keep {keep!r} checkpoints: give at least 1, or None to keep all."
            )
        self._gate = gate
        self._layout = layout
        self._keep = keep or 0

    async def put(
        self, thread_id: str, address: CheckpointAddress, record: CheckpointRecord, blobs: Mapping[str, bytes]
    ) -> list[str]:
        """Store a checkpoint and trim its namespace.

        Returns the names of held blobs that are neither stored nor among `blobs`; then nothing was stored.
        """
        pairs = [part for pair in blobs.items() for part in pair]
        args = [
            storable_name(address.ns),
            storable_name(address.id),
            record.dump(),
            self._keep,
            BATCH,
            *pairs,
        ]
        missing = await self._gate.run(PUT, self._layout.thread(thread_id), *args)
        return [name.decode() for name in missing]

    async def put_writes(self, thread_id: str, address: CheckpointAddress, writes: Sequence[Write]) -> None:
        """Store writes; one that is stored already stays, or is replaced if its channel is special."""
        if writes:
            args = [part for w in writes for part in (w.name, int(w.idx < 0), w.dump())]
            await self._gate.run(PUT_WRITES, self._layout.thread(thread_id), str(address), *args)

    async def read(self, thread_id: str, *addresses: str | bytes) -> list[StoredCheckpoint]:
        """Those of the checkpoints that are stored, in the order asked for; `LostValue` if one is incomplete."""
        found = await self._gate.run(READ, self._layout.thread(thread_id), *addresses)
        return [_stored(thread_id, *reply) for reply in found]

    async def latest(self, thread_id: str, ns: str) -> StoredCheckpoint | None:
        """The newest checkpoint of a namespace."""
        found = await self._gate.run(READ_LATEST, self._layout.thread(thread_id), storable_name(ns))
        return _stored(thread_id, *found[0]) if found else None

    async def walk(
        self, thread_id: str, ns: str | None, wanted: str | None, before: str | None, page: int = PAGE
    ) -> AsyncIterator[StoredCheckpoint]:
        """Checkpoints from new to old, read `page` at a time; of every namespace if `ns` is None.

        wanted: only the one with this id. before: only those with an older id.
        """
        ids = self._layout.thread(thread_id)[0]
        async for addresses in self._pages(ids, ns, wanted, before, page):
            for stored in await self.read(thread_id, *addresses):
                yield stored

    async def threads(self, key: str = "ids") -> set[str]:
        """The threads that have this key. Walks the whole key space, not atomically."""
        found = await self._gate.scan(self._layout.pattern(key))
        return {self._layout.thread_id(name) for name in found}

    async def delete(self, thread_id: str) -> None:
        """Delete everything of a thread."""
        await self._gate.execute("UNLINK", *self._layout.thread(thread_id))

    async def delete_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints of these runs in all threads; atomic per thread and batch."""

        async def delete(thread_id: str) -> None:
            while await self._gate.run(
                DELETE_RUNS, self._layout.thread(thread_id), BATCH, *map(storable_name, run_ids)
            ):
                pass

        threads = iter(await self.threads("runs"))
        while page := list(islice(threads, 1000)):
            await asyncio.gather(*map(delete, page))

    async def prune(self, thread_id: str) -> None:
        """Trim each namespace of a thread to its newest checkpoint; atomic per batch."""
        while await self._gate.run(PRUNE, self._layout.thread(thread_id), BATCH):
            pass

    async def copy(self, source_id: str, target_id: str) -> None:
        """Copy a thread, oldest checkpoint first; atomic per checkpoint."""
        members = iter(await self._gate.execute("ZRANGE", self._layout.thread(source_id)[0], 0, -1))
        while page := list(islice(members, PAGE)):
            for address, record, blobs, writes in await self.read(source_id, *page):
                await self.put_writes(target_id, address, writes)
                if missing := await self.put(target_id, address, record, {}):
                    await self.put(target_id, address, record, {name: blobs[name] for name in missing})

    async def _pages(
        self, ids: str, ns: str | None, wanted: str | None, before: str | None, size: int
    ) -> AsyncIterator[Sequence[str | bytes]]:
        if ns is None:
            every = map(CheckpointAddress.parse, await self._gate.execute("ZRANGE", ids, 0, -1))
            fitting = (a for a in every if wanted in (None, a.id) and (before is None or a.id < before))
            newest_first = iter(sorted(fitting, key=lambda a: a.id, reverse=True))
            while page := [str(address) for address in islice(newest_first, size)]:
                yield page
        elif wanted is not None:
            if before is None or wanted < before:
                yield [str(CheckpointAddress(ns, wanted))]
        else:
            low, high = (
                f"[{storable_name(ns)}{SEP}",
                f"({CheckpointAddress(ns, before)}" if before else f"({ns}\1",
            )
            while page := await self._gate.execute("ZREVRANGEBYLEX", ids, high, low, "LIMIT", 0, size):
                yield page
                high = b"(" + page[-1]


def _stored(
    thread_id: str, member: bytes, stored: bytes, blobs: Sequence[bytes | None], writes: Sequence[bytes]
) -> StoredCheckpoint:
    address, record = CheckpointAddress.parse(member), CheckpointRecord.load(stored)
    by_name: dict[str, bytes] = {}
    for name, blob in zip(record.header["held"], blobs, strict=True):
        if blob is None:
            raise LostValue(
                f"Checkpoint {address.id!r} of thread {thread_id!r} lacks the value of channel "
                f"{channel_of(name)!r}: the store was changed from outside; restore it or delete the thread."
            )
        by_name[name] = blob
    return StoredCheckpoint(address, record, by_name, Write.load_all(writes))

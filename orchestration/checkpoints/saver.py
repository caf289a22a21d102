"""A LangGraph checkpoint saver on plain Redis commands: Redis >= 6.2, Valkey, managed offerings, Redis Cluster."""

from collections.abc import AsyncIterator, Callable, Sequence
from secrets import token_hex
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from surefoot.errors import BadInput, SurefootError
from surefoot.printable import printable

from .codec import (
    CheckpointAddress,
    CheckpointRecord,
    Write,
    blob_name,
    channel_of,
    config_of,
    header_of,
    loses,
    namespace_of,
    pack,
    thread_of,
    unpack,
    wanted_id,
)
from .gate import Gate, RedisClient
from .layout import Layout
from .store import PAGE, Store, StoredCheckpoint

KEEP = 50
"""Checkpoints that a thread keeps in each namespace: enough to look back and to fork, and room that grows as the state does."""


class UntrustedValue(SurefootError):
    """A stored value is of a kind that the saver does not write, and whose reading builds objects."""


class Unstorable(SurefootError, TypeError):
    """A graph's state holds a value that cannot be written down."""


class DamagedCheckpoint(SurefootError):
    """A stored checkpoint is not of the form that was written."""


class AsyncOnly(SurefootError, NotImplementedError):
    """A synchronous method of the saver was called."""


def _refuse(name: str, instead: str) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> Any:
        raise AsyncOnly(
            f"RedisSaver.{name} cannot be called: the saver is asynchronous; "
            f"await a{name} instead, and run the graph with {instead}."
        )

    refuse.__doc__ = f"Refuse: await `a{name}` instead."
    return refuse


class _AsyncSaver(BaseCheckpointSaver[str]):
    """A saver whose synchronous half says to use the asynchronous one."""

    get_tuple = _refuse("get_tuple", "ainvoke, astream or aget_state")
    list = _refuse("list", "aget_state_history")
    put = _refuse("put", "ainvoke, astream or aupdate_state")
    put_writes = _refuse("put_writes", "ainvoke, astream or aupdate_state")
    delete_thread = _refuse("delete_thread", "ainvoke or astream")
    delete_for_runs = _refuse("delete_for_runs", "ainvoke or astream")
    copy_thread = _refuse("copy_thread", "ainvoke or astream")
    prune = _refuse("prune", "ainvoke or astream")


class RedisSaver(_AsyncSaver):
    """Keeps a graph's checkpoints in Redis with core commands only.

    RedisSaver(client)                   the newest 50 checkpoints of each thread and namespace; older ones go as new ones come
    RedisSaver(client, keep=None)        every checkpoint: a thread whose messages grow then takes quadratic room
    RedisSaver(client, prefix="team-a")  blind to all that is stored under another prefix
    RedisSaver(client, serde=...)        default: msgpack that rebuilds only LangGraph's list of safe types

    The caller owns `client` (made without `decode_responses`) and closes it. Every change is one atomic
    Lua call and may be repeated after a lost connection. At most `connections` commands are under way
    at once; the others wait their turn. Errors of redis-py pass through unchanged.
    """

    def __init__(
        self,
        client: RedisClient,
        *,
        prefix: str = "surefoot",
        keep: int | None = KEEP,
        connections: int = 8,
        serde: SerializerProtocol | None = None,
    ) -> None:
        super().__init__(serde=serde or JsonPlusSerializer(allowed_msgpack_modules=None))
        self._store = Store(Gate(client, connections), Layout(prefix), keep)

    def get_next_version(self, current: str | None, channel: None = None) -> str:
        """The version after `current`: a counter that sorts as text, and 48 random bits to tell forks apart."""
        count = int(str(current).partition(".")[0]) if current is not None else 0
        # Not `random`: two processes that seed it alike would give two forks the same versions.
        return f"{count + 1:012d}.{token_hex(6)}"

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint and those of its values that changed; trim the namespace to `keep`."""
        thread_id, address = thread_of(config), CheckpointAddress(namespace_of(config), checkpoint["id"])
        metadata = get_checkpoint_metadata(config, metadata)
        body = {name: part for name, part in checkpoint.items() if name != "channel_values"}
        header = header_of(address, wanted_id(config), checkpoint, metadata)
        written = (
            self._dump(body, thread_id, "the checkpoint"),
            self._dump(metadata, thread_id, "the metadata"),
        )
        record = CheckpointRecord(header, *written)

        changed = {blob_name(channel, version) for channel, version in new_versions.items()}
        send = [name for name in header["held"] if name in changed]
        if await self._store.put(thread_id, address, record, self._blobs(thread_id, checkpoint, send)):
            # The thread's past was deleted meanwhile: the unchanged values are sent as well.
            blobs = self._blobs(thread_id, checkpoint, header["held"])
            await self._store.put(thread_id, address, record, blobs)
        return config_of(thread_id, address)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store a task's writes. Repeated ones stay as first stored; special channels keep the last."""
        thread_id = thread_of(config)
        address = CheckpointAddress(namespace_of(config), config["configurable"]["checkpoint_id"])
        dumped = [
            Write(
                task_id,
                WRITES_IDX_MAP.get(channel, idx),
                task_path,
                channel,
                self._dump(value, thread_id, f"channel {channel!r}"),
            )
            for idx, (channel, value) in enumerate(writes)
        ]
        await self._store.put_writes(thread_id, address, dumped)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that the config names, or the newest of its namespace; None where there is none."""
        thread_id, ns = thread_of(config), namespace_of(config)
        if checkpoint_id := wanted_id(config):
            found = await self._store.read(thread_id, str(CheckpointAddress(ns, checkpoint_id)))
            return self._tuple(thread_id, found[0]) if found else None
        stored = await self._store.latest(thread_id, ns)
        return self._tuple(thread_id, stored) if stored else None

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Checkpoints from new to old, of a namespace, of a whole thread, or (config None) of every thread.

        `filter` compares metadata keys for equality; `before` names a checkpoint to stay behind.
        """
        if limit is not None and limit < 1:
            return
        ns = config["configurable"].get("checkpoint_ns") if config else None
        page = PAGE if filter or limit is None else min(limit, PAGE)
        listed = 0
        for thread_id in [thread_of(config)] if config else sorted(await self._store.threads()):
            async for stored in self._store.walk(thread_id, ns, wanted_id(config), wanted_id(before), page):
                saved = self._tuple(thread_id, stored)
                if all(saved.metadata.get(key) == value for key, value in (filter or {}).items()):
                    yield saved
                    listed += 1
                    if listed == limit:
                        return

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete everything of a thread, in one command."""
        await self._store.delete(thread_id)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints whose metadata has one of these `run_id`s, with their writes.

        Walks all threads that have runs; atomic per thread (in batches), and safe to repeat. Deletes
        ancestors from which a DeltaChannel of a later run would have to be rebuilt, too.
        """
        if run_ids:
            await self._store.delete_runs(run_ids)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints and writes, each atomically, oldest first; safe to repeat.

        What the target already has stays. The whole is not atomic: copy a thread that is not being written to.
        """
        await self._store.copy(source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Keep the newest checkpoint of each namespace ("keep_latest") or none at all ("delete").

        Ancestors from which a kept DeltaChannel is rebuilt stay; the namespaces of tasks go with their checkpoint.
        """
        if strategy not in ("keep_latest", "delete"):
            raise BadInput(f"The strategy {strategy!r} is unknown: give 'keep_latest' or 'delete'.")
        for thread_id in thread_ids:
            await (self._store.delete(thread_id) if strategy == "delete" else self._store.prune(thread_id))

    def _dump(self, value: Any, thread_id: str, what: str) -> bytes:
        try:
            typed = self.serde.dumps_typed(value)
            if loses(typed):
                raise TypeError("a numpy array of Python objects would come back as None")
            return pack(typed)
        except (TypeError, ValueError, RecursionError) as error:
            raise Unstorable(
                f"A value of {what} of thread {thread_id!r} cannot be stored ({printable(str(error)[:200])}): put what it is "
                "made of into the state (a number, a text, a list), or give the saver a serde that writes it."
            ) from error

    def _load(self, packed: bytes) -> Any:
        kind, data = unpack(packed)
        if kind == "json" and not _reads_json(self.serde):
            raise UntrustedValue(
                "A stored value is of the kind 'json', which the saver never writes and whose reading makes objects of "
                "what it names: delete the thread, or give a serde with allowed_json_modules if you trust the store."
            )
        return self.serde.loads_typed((kind, data))

    def _blobs(self, thread_id: str, checkpoint: Checkpoint, names: Sequence[str]) -> dict[str, bytes]:
        values, dump = checkpoint["channel_values"], self._dump
        channels = {name: channel_of(name) for name in names}
        return {
            name: dump(values[channel], thread_id, f"channel {channel!r}")
            for name, channel in channels.items()
        }

    def _tuple(self, thread_id: str, stored: StoredCheckpoint) -> CheckpointTuple:
        try:
            return self._rebuilt(thread_id, stored)
        except (
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
            NotImplementedError,
            RecursionError,
        ) as error:
            raise DamagedCheckpoint(
                f"Checkpoint {stored.address.id!r} of thread {thread_id!r} cannot be read "
                f"({printable(repr(error)[:200])}): restore it or delete the thread."
            ) from error

    def _rebuilt(self, thread_id: str, stored: StoredCheckpoint) -> CheckpointTuple:
        address, record, blobs, writes = stored
        checkpoint: Checkpoint = self._load(record.body)
        checkpoint["channel_values"] = {channel_of(name): self._load(blob) for name, blob in blobs.items()}
        parent = record.header.get("parent")
        return CheckpointTuple(
            config=config_of(thread_id, address),
            checkpoint=checkpoint,
            metadata=self._load(record.metadata),
            parent_config=config_of(thread_id, CheckpointAddress(address.ns, parent)) if parent else None,
            pending_writes=[(w.task_id, w.channel, self._load(w.packed)) for w in writes],
        )


def _reads_json(serde: SerializerProtocol) -> bool:
    """Whether the kind `json`, which LangGraph's serializer reads and no longer writes, was allowed by its maker."""
    if isinstance(serde, EncryptedSerializer):
        return _reads_json(serde.serde)  # it hands on what is not encrypted
    if isinstance(serde, JsonPlusSerializer):
        return bool(getattr(serde, "_allowed_json_modules", None))
    return True  # a format of the user's own

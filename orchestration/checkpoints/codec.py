"""How the saver lays out a thread in Redis: key names, addresses, records and writes (see docs/saver.md)."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Self

import ormsgpack
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata, get_checkpoint_id, writes_sort_key
from langgraph.checkpoint.serde.jsonplus import EXT_NUMPY_ARRAY

from surefoot.errors import BadInput
from surefoot.printable import encodable

SEP = "\0"
OBJECTS = b"|O"
"""How numpy names the type of Python objects."""

TypedBytes = tuple[str, bytes]
"""What a serializer makes of a value: the name of the format, and the bytes."""


class CheckpointAddress(NamedTuple):
    """A checkpoint's place within its thread."""

    ns: str
    id: str

    @classmethod
    def parse(cls, member: bytes) -> Self:
        """Read an address that the store returned."""
        ns, _, checkpoint_id = member.decode().partition(SEP)
        return cls(ns, checkpoint_id)

    def __str__(self) -> str:
        return storable_name(self.ns) + SEP + storable_name(self.id)


def storable_name(name: str) -> str:
    """Return the name, unless it holds the one character that separates names in the store, or what no UTF-8 has."""
    if SEP in name:
        raise BadInput(f"The name {name!r} cannot be stored: it must not contain the NUL character.")
    if not encodable(name):
        raise BadInput(f"The name {name!r} cannot be stored: it holds half of a surrogate pair.")
    return name


def thread_of(config: RunnableConfig) -> str:
    """The thread id of a config; `BadInput` when it has none."""
    named = config.get("configurable", {}).get("thread_id")
    # A thread "None" would be shared by all callers that forgot the name.
    if named is None:
        raise BadInput("The config names no thread: give config['configurable']['thread_id'].")
    return str(named)


def namespace_of(config: RunnableConfig) -> str:
    """The namespace of a config; the root's is empty."""
    return str(config["configurable"].get("checkpoint_ns", ""))


def config_of(thread_id: str, address: CheckpointAddress) -> RunnableConfig:
    """The config that names one stored checkpoint."""
    ids = {"thread_id": thread_id, "checkpoint_ns": address.ns, "checkpoint_id": address.id}
    return {"configurable": ids}


def pack(typed: TypedBytes) -> bytes:
    """One byte string of a serialized value."""
    return typed[0].encode() + b"\0" + typed[1]


def loses(typed: TypedBytes) -> bool:
    """Whether a numpy array of Python objects is in it: LangGraph's serializer writes their addresses, and reads `None`."""
    kind, data = typed
    # Two bytes that hardly anything else has; most values need no second look.
    if kind != "msgpack" or OBJECTS not in data:
        return False
    found: list[object] = []

    def look(code: int, inner: bytes) -> None:
        within = ormsgpack.unpackb(inner, ext_hook=look, option=ormsgpack.OPT_NON_STR_KEYS)
        if code == EXT_NUMPY_ARRAY:
            found.append(within[0])

    # A format of the user's own may lay out its extensions as it likes.
    with suppress(ValueError, TypeError, LookupError):
        ormsgpack.unpackb(data, ext_hook=look, option=ormsgpack.OPT_NON_STR_KEYS)
    return OBJECTS.decode() in found


def unpack(packed: bytes) -> TypedBytes:
    """The inverse of `pack`."""
    kind, _, data = packed.partition(b"\0")
    return kind.decode(), data


class CheckpointRecord(NamedTuple):
    """A checkpoint without its channel values, as stored; the scripts read `header`, and nothing else of it.

    header: JSON with `held` (names of the blobs that it holds), `open` (DeltaChannels whose value must be
    rebuilt from ancestors), `size` (of the body), and where they exist `parent`, `run` and `owner`.
    """

    header: Mapping[str, Any]
    body: bytes
    metadata: bytes

    def dump(self) -> bytes:
        """One byte string: header, NUL, body, metadata."""
        header = json.dumps(
            {**self.header, "size": len(self.body)}, separators=(",", ":"), ensure_ascii=False
        )
        return header.encode() + b"\0" + self.body + self.metadata

    @classmethod
    def load(cls, stored: bytes) -> Self:
        """The inverse of `dump`."""
        head, _, rest = stored.partition(b"\0")
        header = json.loads(head)
        return cls(header, rest[: header["size"]], rest[header["size"] :])


def blob_name(channel: str, version: str | int | float) -> str:
    """What a channel's value is stored under. Versions have no colon, so the channel may have any."""
    return f"{version}:{channel}"


def channel_of(blob: str) -> str:
    """The channel of a blob's name."""
    return blob.partition(":")[2]


def header_of(
    address: CheckpointAddress, parent_id: str | None, checkpoint: Checkpoint, metadata: CheckpointMetadata
) -> dict[str, Any]:
    """The header of a checkpoint's record."""
    values, versions = checkpoint["channel_values"], checkpoint["channel_versions"]
    header: dict[str, Any] = {
        "held": [blob_name(channel, versions[channel]) for channel in values if channel in versions],
        "open": [c for c in metadata.get("counters_since_delta_snapshot") or {} if c not in values],
    }
    owner = _owner(address.ns, metadata.get("parents") or {})
    run = metadata.get("run_id")
    links = {"parent": parent_id, "run": storable_name(str(run)) if run else None, "owner": owner}
    return header | {name: link for name, link in links.items() if link}


def _owner(ns: str, parents: Mapping[str, str]) -> list[str] | None:
    """Namespace and id of the checkpoint in whose superstep the namespace came to be, if it dies with it.

    LangGraph joins segments with "|"; one that ends in ":task-id" belongs to a single execution of a
    node. A namespace without such a segment is a subgraph's own lasting memory and has no owner.
    """
    segments = ns.split("|")
    while segments and ":" not in segments[-1]:
        segments.pop()
    while segments:
        segments.pop()
        owner = "|".join(segments)
        if owner in parents:
            return [owner, parents[owner]]
    return None


class Write(NamedTuple):
    """A task's write to a channel, pending at a checkpoint. `idx` is negative for special channels."""

    task_id: str
    idx: int
    task_path: str
    channel: str
    packed: bytes

    @property
    def name(self) -> str:
        """What makes the write one of its kind at its checkpoint."""
        return f"{storable_name(self.task_id)}{SEP}{self.idx}"

    def dump(self) -> bytes:
        """All but the name, as stored."""
        return json.dumps([self.task_path, self.channel]).encode() + b"\0" + self.packed

    @classmethod
    def load(cls, member: bytes) -> Self:
        """Read a stored member: address, name and the write itself."""
        _, _, task_id, idx, rest = member.split(b"\0", 4)
        head, _, packed = rest.partition(b"\0")
        task_path, channel = json.loads(head)
        return cls(task_id.decode(), int(idx), task_path, channel, packed)

    @classmethod
    def load_all(cls, members: Iterable[bytes]) -> list[Self]:
        """Read stored members, in the order in which LangGraph applies them."""
        return sorted(map(cls.load, members), key=lambda w: writes_sort_key(w.task_path, w.task_id, w.idx))


def wanted_id(config: RunnableConfig | None) -> str | None:
    """The checkpoint id that a config names, if any."""
    return get_checkpoint_id(config) or None if config else None

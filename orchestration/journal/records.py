"""The journal's records: canonical values, the hash chain, and the frames they travel in.

A record is one decided step.  Records are written in frames, one per commit:

    first steps before after crc\\n  zlib(JSON [[answer, votes, prompt, completion, extras?], ...])

`before` and `after` are the chain's heads around the frame, `crc` is the CRC-32 of the compressed bytes.  The chain covers what was
decided and nothing that may differ between two runs that decide the same:

    head(0) = H(task, its arguments, start state)        head(i+1) = H(head(i), answer(i))
"""

import re
import zlib
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from surefoot.errors import SurefootError
from surefoot.printable import printable
from surefoot.voting.samples import NOTHING, Usage

SCHEMA = 1
"""Version of everything that the journal writes; raised when an older reader would misread it."""
HEAD_BYTES = 16
UNPACKED_BYTES = 1 << 25
"""No frame and no step's samples are larger than this as JSON; decompression stops here."""

_HEADER = re.compile(rb"(\d{1,15}) ([1-9]\d{0,8}) ([0-9a-f]{32}) ([0-9a-f]{32}) ([0-9a-f]{8})")


class CorruptJournal(SurefootError):
    """A record is not what was written, or not where it belongs.  It is named, never skipped."""


class Record(NamedTuple):
    """One decided step, as the journal keeps it."""

    step: int
    answer: Any
    """The winner, a plain value."""
    votes: int
    """Ballots for the winner."""
    others: tuple[tuple[Any, int], ...] = ()
    """The losing candidates and their votes."""
    flags: Mapping[str, int] = MappingProxyType({})
    """Samples thrown away, by reason."""
    usage: Usage = NOTHING

    @property
    def against(self) -> int:
        """Votes for the losing candidates."""
        return sum([votes for _, votes in self.others]) if self.others else 0


class Frame(NamedTuple):
    """The header of a run of records that were committed together."""

    first: int
    steps: int
    before: str
    after: str


def canonical(value: object) -> bytes:
    """Return the one JSON text of a plain value; equal values give equal bytes."""
    return to_json(value)


def frozen(value: Any) -> Any:
    """Turn what JSON gives back (lists) into the plain value that was written (tuples)."""
    if type(value) is not list:
        return value
    # Every step is read back through here, and most lists hold numbers alone: those are told apart in one go.
    if list not in map(type, value):
        return tuple(value)
    return tuple([frozen(item) for item in value])


def genesis(task: str, spec: Mapping[str, Any], start: object) -> str:
    """Return head(0), as hexadecimal digits."""
    arguments = sorted(spec.items())
    return blake2b(canonical([task, arguments, start]), digest_size=HEAD_BYTES).hexdigest()


def chain(head: str, answer: object) -> str:
    """Return the head after one more decided answer."""
    return link(head, canonical(answer))


def link(head: str, answer: bytes) -> str:
    """Return the same for an answer's canonical text."""
    return blake2b(answer, digest_size=HEAD_BYTES, key=bytes.fromhex(head)).hexdigest()


def is_head(text: object) -> bool:
    """Whether this is a head of a chain, as hexadecimal digits."""
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{32}", text) is not None


def encode(records: list[Record], before: str, after: str) -> bytes:
    """Write consecutive records as one frame."""
    payload = zlib.compress(to_json([_row(record) for record in records]), 1)
    header = f"{records[0].step} {len(records)} {before} {after} {zlib.crc32(payload):08x}\n"
    return header.encode() + payload


def decode(data: bytes, where: str) -> tuple[Frame, list[Record]]:
    """Read a frame back; `where` names it in the `CorruptJournal` raised when it is damaged."""
    frame, payload = _open(data, where)
    place = f"{where}: the record of steps {frame.first} to {frame.first + frame.steps - 1}"
    try:
        rows = from_json(unpacked(payload))
        found = [_record(frame.first + offset, row) for offset, row in enumerate(rows)]
    except (ValueError, TypeError, AttributeError) as error:
        raise CorruptJournal(f"{place} is not of the form that was written ({_why(error)})") from None
    if len(found) != frame.steps:
        raise CorruptJournal(
            f"{where}: {frame.steps} steps were written from step {frame.first}, {len(found)} are there"
        )
    return frame, found


def unpacked(payload: bytes) -> bytes:
    """Decompress; `ValueError` if it is damaged, or larger than `UNPACKED_BYTES`."""
    unpack = zlib.decompressobj()
    try:
        found = unpack.decompress(payload, UNPACKED_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not unpack.eof:
        raise ValueError(f"it is cut off, or decompresses to more than {UNPACKED_BYTES} bytes")
    return found


def verified(frames: Iterable[tuple[Frame, list[Record]]], head: str, step: int, where: str) -> list[Record]:
    """Return the records of consecutive frames after checking that they continue `head` at `step`, link by link.

    Raises `CorruptJournal` naming the first step at which they do not.
    """
    records: list[Record] = []
    for frame, part in frames:
        if frame.first != step or frame.before != head:
            raise CorruptJournal(
                f"{where}: the record at step {step} does not continue the hash chain at {head}"
            )
        for record in part:
            head = chain(head, record.answer)
        if head != frame.after:
            last = step + frame.steps - 1
            raise CorruptJournal(
                f"{where}: the answers of steps {step} to {last} do not hash to {frame.after}"
            )
        step += frame.steps
        records += part
    return records


def _open(data: bytes, where: str) -> tuple[Frame, bytes]:
    header, _, payload = data.partition(b"\n")
    found = _HEADER.fullmatch(header)
    if found is None:
        raise CorruptJournal(f"{where}: a record's header cannot be read: {header[:60]!r}")
    first, steps, before, after, crc = found.groups()
    frame = Frame(int(first), int(steps), before.decode(), after.decode())
    if zlib.crc32(payload) != int(crc, 16):
        last = frame.first + frame.steps - 1
        raise CorruptJournal(f"{where}: the record of steps {frame.first} to {last} fails its checksum")
    return frame, payload


def _row(record: Record) -> list[Any]:
    row = [record.answer, record.votes, record.usage.prompt, record.usage.completion]
    extras: dict[str, Any] = {}
    if record.others:
        extras["others"] = record.others
    if record.flags:
        extras["flags"] = record.flags
    if record.usage.cached or record.usage.reasoning:
        extras["more"] = (record.usage.cached, record.usage.reasoning)
    if record.usage.uncounted:
        extras["uncounted"] = record.usage.uncounted
    return [*row, extras] if extras else row


def _record(step: int, row: list[Any]) -> Record:
    """Read one row; `ValueError`, `TypeError` or `AttributeError` if it is none."""
    if len(row) == 4:  # nearly every step: unanimous, and nothing out of the ordinary
        answer, votes, prompt, completion = row
        if type(votes) is not int or type(prompt) is not int or type(completion) is not int:
            raise TypeError(f"counts {row[1:]!r}")
        return Record(step, frozen(answer), votes, usage=Usage(prompt, completion=completion))
    answer, votes, prompt, completion, extras = row
    cached, reasoning = extras.get("more", (0, 0))
    others = tuple((frozen(other), count) for other, count in extras.get("others", ()))
    flags = extras.get("flags", {})
    usage = Usage(prompt, cached, completion, reasoning, extras.get("uncounted", 0))
    counts = (votes, *usage, *flags.values(), *[count for _, count in others])
    if not all(type(count) is int for count in counts):
        raise TypeError(f"counts {counts!r}")
    return Record(step, frozen(answer), votes, others, flags, usage)


def _why(error: Exception) -> str:
    return printable(str(error)[:200])

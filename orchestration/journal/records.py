"""The journal's records: canonical values, the hash chain, and the frames they travel in.

A record is one decided step.  Records are written in frames, one per commit:

    first steps before after crc\\n  zlib(JSON [[answer, votes, prompt, completion, extras?], ...], a row a line)

`before` and `after` are the chain's heads around the frame, `crc` is the CRC-32 of the compressed bytes.  The chain covers what was
decided and nothing that may differ between two runs that decide the same:

    head(0) = H(task, its arguments, start state)        head(i+1) = H(head(i), answer(i))
"""

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from types import GenericAlias
from typing import Any, NamedTuple

import msgspec
from pydantic_core import from_json, to_json

from surefoot.agents.tasks.plain_values import canonical
from surefoot.errors import BadInput, SurefootError
from surefoot.orchestration.record import NO_FLAGS, Record, RungTally
from surefoot.printable import printable
from surefoot.voting.samples import Usage, new_usage

SCHEMA = 3
"""Version of everything that the journal writes; raised when an older reader would misread it."""
HEAD_BYTES = 16
ANSWER_BYTES = 1 << 22
OTHERS_BYTES = 1 << 24
"""What all losing ballots of a step may take.  With a commit's bytes this stays below `UNPACKED_BYTES`."""
COUNTED = 10**12
"""Largest number of tokens or votes that one step may claim: a server that says more is wrong, and sums stay exact."""
UNPACKED_BYTES = 1 << 25
"""No frame and no step's samples are larger than this as JSON; decompression stops here."""

_BETWEEN = b",\n"
"""Stands between two rows of a frame, and nowhere in one: JSON texts hold no bare line ends."""


def _plain(depth: int) -> Any:
    """Return the type of plain values with no more than so many tuples in one another."""
    atoms: Any = int | str | bool | None
    return atoms | GenericAlias(tuple, (_plain(depth - 1), ...)) if depth else atoms


_PLAIN_ROW: msgspec.json.Decoder[Any] = msgspec.json.Decoder(GenericAlias(tuple, (_plain(8), int, int, int)))
"""Reads nearly every row, into tuples at once, which takes a quarter of the time; a row that it does not read may be one all the same."""
_HEADER = re.compile(rb"(\d{1,15}) ([1-9]\d{0,8}) ([0-9a-f]{32}) ([0-9a-f]{32}) ([0-9a-f]{8})")


class CorruptJournal(SurefootError):
    """A record is not what was written, or not where it belongs.  It is named, never skipped."""


class Frame(NamedTuple):
    """The header of a run of records that were committed together."""

    first: int
    steps: int
    before: str
    after: str


def frozen(value: Any) -> Any:
    """Turn what JSON gives back (lists) into the plain value that was written (tuples)."""
    if type(value) is not list:
        return value
    # Every step is read back through here, and most lists hold numbers alone: those are told apart in one go, without a call of their own.
    return tuple(
        [
            item if type(item) is not list else frozen(item) if list in map(type, item) else tuple(item)
            for item in value
        ]
    )


def genesis(task: str, spec: Mapping[str, Any], start: object) -> str:
    """Return head(0), as hexadecimal digits."""
    arguments = sorted(spec.items())
    return blake2b(canonical([task, arguments, start]), digest_size=HEAD_BYTES).hexdigest()


def chain(head: str, answer: object) -> str:
    """Return the head after one more decided answer."""
    return link(bytes.fromhex(head), canonical(answer)).hex()


def link(head: bytes, answer: bytes) -> bytes:
    """Return the same for an answer's canonical text, in bytes."""
    return blake2b(answer, digest_size=HEAD_BYTES, key=head).digest()


def is_head(text: object) -> bool:
    """Whether this is a head of a chain, as hexadecimal digits."""
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{32}", text) is not None


def write(record: Record) -> tuple[bytes, bytes]:
    """Return the canonical text of a record's answer, for the chain, and the record's row in its frame.

    Raises `BadInput` for an answer that is too large and a number that cannot be counted.
    """
    _, plain, votes, others, flags, (prompt, cached, completion, reasoning, uncounted), rungs, reused = record
    answer = canonical(plain)
    if len(answer) > ANSWER_BYTES:
        raise BadInput(
            f"step {record.step} cannot be recorded: its answer takes {len(answer):,} bytes as JSON, {ANSWER_BYTES:,} at most"
        )
    if not _countable(record):
        raise _uncountable(record)
    extras: dict[str, Any] = {}
    if others:
        extras["others"] = others
    if flags:
        extras["flags"] = flags
    if cached or reasoning:
        extras["more"] = (cached, reasoning)
    if uncounted:
        extras["uncounted"] = uncounted
    if rungs:
        extras["rungs"] = rungs
    if reused is not None:
        extras["reused"] = reused
    more = b"," + to_json(extras) if extras else b""
    if len(more) > OTHERS_BYTES:
        raise BadInput(
            f"step {record.step} cannot be recorded: its {len(others)} losing ballots take {len(more):,} bytes as JSON, "
            f"{OTHERS_BYTES:,} at most; what was decided before is safe"
        )
    return answer, b"[%b,%d,%d,%d%b]" % (answer, votes, prompt, completion, more)


def encode(first: int, rows: Sequence[bytes], before: str, after: str) -> bytes:
    """Write consecutive records, as `write` returned them, as one frame; `first` is the step of the first."""
    payload = zlib.compress(b"[" + _BETWEEN.join(rows) + b"]", 1)
    header = f"{first} {len(rows)} {before} {after} {zlib.crc32(payload):08x}\n"
    return header.encode() + payload


def decode(data: bytes, where: str) -> tuple[Frame, list[Record]]:
    """Read a frame back; `where` names it in the `CorruptJournal` raised when it is damaged."""
    frame, payload = _open(data, where)
    place = f"{where}: the record of steps {frame.first} to {frame.first + frame.steps - 1}"
    try:
        found = [_record(step, row) for step, row in enumerate(_rows(unpacked(payload)), frame.first)]
    except (ValueError, TypeError, AttributeError) as error:
        raise CorruptJournal(f"{place} is not of the form that was written ({_why(error)})") from None
    if len(found) != frame.steps:
        raise CorruptJournal(
            f"{where}: {frame.steps} steps were written from step {frame.first}, {len(found)} are there"
        )
    return frame, found


def _rows(text: bytes) -> Iterator[Any]:
    """Read the rows one after the other, so that few of their lists are alive at once."""
    rows = text.split(_BETWEEN)
    if len(rows) == 1 or rows[0][:1] != b"[" or rows[-1][-1:] != b"]":
        yield from from_json(text)  # a single row, or a frame of old, in which no line ended
        return
    rows[0], rows[-1] = rows[0][1:], rows[-1][:-1]
    for row in rows:
        try:
            fields = _PLAIN_ROW.decode(row)
        except msgspec.MsgspecError:
            fields = from_json(row)
        yield fields


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


def verified(
    frames: Iterable[tuple[Frame, list[Record]]], head: str, step: int, where: str
) -> Iterator[tuple[Frame, list[Record]]]:
    """Yield consecutive frames, each after checking that it continues `head` at `step`, link by link.

    Raises `CorruptJournal` naming the first step at which one does not.  One by one, since records are trees of tuples: with many of
    them alive at once Python's garbage collector takes as long as all the rest.
    """
    for frame, part in frames:
        if frame.first != step or frame.before != head:
            raise CorruptJournal(
                f"{where}: the record at step {step} does not continue the hash chain at {head}"
            )
        end = bytes.fromhex(head)
        for record in part:
            end = link(end, canonical(record.answer))
        head = end.hex()
        if head != frame.after:
            last = step + frame.steps - 1
            raise CorruptJournal(
                f"{where}: the answers of steps {step} to {last} do not hash to {frame.after}"
            )
        step += frame.steps
        yield frame, part


def _countable(record: Record) -> bool:
    numbers = [*record.usage, record.votes]
    if record.others or record.flags:
        numbers += (*record.flags.values(), *[votes for _, votes in record.others])
    for number in numbers:  # noqa: SIM110 - a generator takes longer, and every step comes by here
        if type(number) is not int or not 0 <= number <= COUNTED:
            return False
    return True


def _uncountable(record: Record) -> BadInput:
    """Say which number of a record it is."""
    named = {**record.usage._asdict(), "votes": record.votes, **record.flags}
    named |= {f"votes for {answer!r}": votes for answer, votes in record.others}
    name, number = next(
        (name, number)
        for name, number in named.items()
        if type(number) is not int or not 0 <= number <= COUNTED
    )
    return BadInput(
        f"step {record.step} cannot be recorded: {name} is {number!r}, not a whole number from 0 to {COUNTED}; "
        "what was decided before is safe"
    )


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


def _record(step: int, fields: Sequence[Any]) -> Record:
    """Read one row; `ValueError`, `TypeError` or `AttributeError` if it is none."""
    if len(fields) == 4:  # nearly every step: unanimous, and nothing out of the ordinary
        answer, votes, prompt, completion = fields
        if type(fields) is tuple:
            return Record(step, answer, votes, (), NO_FLAGS, new_usage((prompt, 0, completion, 0, 0)))
        if type(votes) is not int or type(prompt) is not int or type(completion) is not int:
            raise TypeError(f"counts {fields[1:]!r}")
        return Record(step, frozen(answer), votes, (), NO_FLAGS, Usage(prompt, 0, completion, 0, 0))
    answer, votes, prompt, completion, extras = fields
    cached, reasoning = extras.get("more", (0, 0))
    others = tuple((frozen(other), count) for other, count in extras.get("others", ()))
    flags = extras.get("flags", {})
    usage = Usage(prompt, cached, completion, reasoning, extras.get("uncounted", 0))
    rungs = tuple(_rung(*each) for each in extras.get("rungs", ()))
    counts = (votes, *usage, *flags.values(), *[count for _, count in others])
    counts += tuple(count for _, samples, tally in rungs for count in (samples, *[each for _, each in tally]))
    if not all(type(count) is int for count in counts) or not all(type(each.rung) is str for each in rungs):
        raise TypeError(f"counts {counts!r}")
    reused = extras.get("reused")
    if reused is not None and not (type(reused) is int and 0 <= reused < step):
        raise ValueError(f"step {step} reused {reused!r}")
    return Record(step, frozen(answer), votes, others, flags, usage, rungs, reused)


def _rung(name: Any, samples: Any, tally: Any) -> RungTally:
    return RungTally(name, samples, tuple((frozen(answer), count) for answer, count in tally))


def _why(error: Exception) -> str:
    return printable(str(error)[:200])

import functools
import json
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from surefoot.agents.tasks.plain_values import canonical
from surefoot.orchestration.journal.records import (
    CorruptJournal,
    Frame,
    chain,
    decode,
    encode,
    frozen,
    genesis,
    verified,
    write,
)
from surefoot.orchestration.record import Record, RungTally
from surefoot.voting import Usage

GOLDEN = Path(__file__).parent / "golden" / "frame-v1.json"

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=10,
)
tallies = st.lists(st.tuples(values, st.integers(1, 9)), max_size=2).map(tuple)
records = st.builds(
    Record,
    step=st.just(0),
    answer=values,
    votes=st.integers(1, 99),
    others=tallies,
    flags=st.dictionaries(st.text(min_size=1), st.integers(1, 9), max_size=2),
    usage=st.builds(Usage, *[st.integers(0, 9999)] * 5),
    rungs=st.lists(st.builds(RungTally, st.text(min_size=1), st.integers(0, 9), tallies), max_size=2).map(
        tuple
    ),
    reused=st.none(),  # else an earlier step, which step 0 has not: see test_memo
)


def framed(entries: list[Record], head: str) -> tuple[bytes, str]:
    after = head
    for entry in entries:
        after = chain(after, entry.answer)
    rows = [write(entry)[1] for entry in entries]
    return encode(entries[0].step, rows, head, after), after


def read(frames: Iterable[tuple[Frame, list[Record]]], head: str, step: int, where: str) -> list[Record]:
    return [entry for _, part in verified(frames, head, step, where) for entry in part]


@given(st.lists(records, min_size=1, max_size=5), st.integers(0, 10**7))
def test_what_is_written_is_read_back(entries: list[Record], first: int) -> None:
    entries = [entry._replace(step=first + place) for place, entry in enumerate(entries)]
    head = genesis("t", {}, 0)
    data, _ = framed(entries, head)
    assert read([decode(data, "here")], head, first, "here") == entries


@given(values)
def test_a_plain_value_survives_its_canonical_text(value: object) -> None:
    assert frozen(json.loads(canonical(value))) == value
    assert canonical(value) == to_json(value)


def test_every_character_is_written_as_it_was_when_the_first_chains_were_hashed() -> None:
    for plane in range(0, 0x110000, 0x10000):
        text = "".join(map(chr, range(plane, plane + 0x10000)))
        whole = text if plane else text[:0xD800] + text[0xE000:]
        assert canonical((whole, 1 << 70, -1, True, None)) == to_json((whole, 1 << 70, -1, True, None))
        assert canonical(whole) == to_json(whole)
    with pytest.raises(ValueError, match="surrogates"):
        canonical("\ud800")


def test_a_frame_is_written_as_the_first_readers_read_it() -> None:
    plain, unusual = (
        Record(7, ((1, "a"), None), 3, usage=Usage(17, 0, 12)),
        Record(8, "b", 2, (("c", 1),), {"malformed": 1}, Usage(5, 2, 4, 3, 1)),
    )
    data = encode(7, [write(record)[1] for record in (plain, unusual)], "0" * 32, "f" * 32)
    header, payload = data.split(b"\n", 1)
    assert header.startswith(b"7 2 00000000000000000000000000000000 ffffffffffffffffffffffffffffffff ")
    # JSON as ever; the line ends between the rows, which make reading cheap, are white space to it.
    assert zlib.decompress(payload) == (
        b'[[[[1,"a"],null],3,17,12],\n["b",2,5,4,{"others":[["c",1]],"flags":{"malformed":1},"more":[2,3],"uncounted":1}]]'
    )


@given(st.lists(records, min_size=1, max_size=5))
def test_a_frame_of_old_had_no_line_ends(entries: list[Record]) -> None:
    entries = [entry._replace(step=place) for place, entry in enumerate(entries)]
    head = genesis("t", {}, 0)
    data, after = framed(entries, head)
    payload = zlib.compress(zlib.decompress(data.split(b"\n", 1)[1]).replace(b",\n", b","))
    old = f"0 {len(entries)} {head} {after} {zlib.crc32(payload):08x}\n".encode() + payload
    assert read([decode(old, "here")], head, 0, "here") == entries


@given(st.lists(records, min_size=1, max_size=3), st.data())
def test_any_changed_byte_is_noticed_and_its_place_named(entries: list[Record], data: st.DataObject) -> None:
    entries = [entry._replace(step=7 + place) for place, entry in enumerate(entries)]
    head = genesis("t", {}, 0)
    frame, _ = framed(entries, head)
    place = data.draw(st.integers(0, len(frame) - 1))
    damaged = bytearray(frame)
    damaged[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CorruptJournal, match="job 'x'"):
        read([decode(bytes(damaged), "job 'x'")], head, 7, "job 'x'")


def test_a_missing_frame_breaks_the_chain() -> None:
    head = genesis("t", {}, 0)
    first, middle_head = framed([Record(0, 1, 3)], head)
    second, _ = framed([Record(1, 2, 3)], middle_head)
    frames = [decode(data, "here") for data in (first, second)]
    assert len(read(frames, head, 0, "here")) == 2
    with pytest.raises(CorruptJournal, match="step 0 does not continue"):
        read(frames[1:], head, 0, "here")


def test_an_answer_exchanged_with_its_checksum_still_breaks_the_chain() -> None:
    head = genesis("t", {}, 0)
    _, after = framed([Record(0, 1, 3)], head)
    forged = encode(0, [write(Record(0, 2, 3))[1]], head, after)
    with pytest.raises(CorruptJournal, match="steps 0 to 0 do not hash"):
        read([decode(forged, "here")], head, 0, "here")


def test_the_chain_depends_on_task_arguments_and_start() -> None:
    heads = {
        genesis("t", {"n": 1}, 0),
        genesis("t", {"n": 2}, 0),
        genesis("u", {"n": 1}, 0),
        genesis("t", {"n": 1}, 1),
    }
    assert len(heads) == 4


def test_frames_of_schema_1_are_still_read() -> None:
    golden = json.loads(GOLDEN.read_text())
    found = read([decode(bytes.fromhex(golden["frame"]), "golden")], golden["before"], 41, "golden")
    assert found == [
        Record(41, ((1, 0, 1), ((2,), (1,), ())), 3, (), {}, Usage(30, 0, 12, 0)),
        Record(
            42,
            ((2, 0, 2), ((), (1,), (2,))),
            4,
            ((((1, 1, 0), None), 1),),
            {"malformed": 2},
            Usage(70, 8, 28, 5),
        ),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        *(1 << 70, -(1 << 64), True, None, "", 'é\n"[1,2]"', ()),
        (1, (2, ("a", (None, (False, (1, (2, (3, (4,))))))))),
        functools.reduce(lambda inside, _: (inside, 1), range(60), ("deep",)),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_answer_is_read_as_it_was_however_deep_and_large(answer: Any) -> None:
    """Those that the fast reader of rows takes, and those that it leaves to the other one."""
    entries = [Record(step, answer, 3, (), {}, Usage(5, 0, 7, 0, 0)) for step in range(3)]
    rows = [write(entry)[1] for entry in entries]
    _, read = decode(encode(0, rows, "0" * 32, "1" * 32), "here")
    assert read == entries
    assert [type(record.answer) for record in read] == [type(answer)] * 3
    assert repr(read[0].answer) == repr(answer)


@pytest.mark.parametrize("row", [b"[[1],true,5,7]", b"[[1],3.0,5,7]", b'[[1],"3",5,7]', b"[[1],3,5]"])
def test_counts_that_are_no_whole_numbers_are_still_damage(row: bytes) -> None:
    with pytest.raises(CorruptJournal):
        decode(encode(0, [row, row], "0" * 32, "1" * 32), "here")

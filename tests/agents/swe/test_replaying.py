"""Acts made again: what counts as the same, and that hostile output costs no more than its length."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable

import pytest

from surefoot.agents.swe.recorded import RecordedAct
from surefoot.agents.swe.replaying import (
    LONGEST_EXCERPT,
    MOST_DIFFERENCES,
    Kind,
    Replayed,
    compare,
    masked,
    replayed,
)
from surefoot.models.offers import Call
from surefoot.tests.conftest import LINEAR


def act(output: str | None, code: int | None = 0, command: str = "true") -> RecordedAct:
    return RecordedAct(Call("bash", json.dumps({"command": command})), output, code, "")


def replay(acts: Iterable[RecordedAct], seen: Iterable[tuple[str, int | None]]) -> Replayed:
    answers = iter(seen)

    async def do(call: Call) -> tuple[str, int | None]:
        return next(answers)

    return asyncio.run(replayed(acts, do))


SIZES = [1 << power for power in range(10, 18)]
"""Characters."""
CHANGES = [
    ("3 passed in 0.12s", "3 passed in 11.02s"),
    ("===== 3 passed in 0.12s =====", "==== 3 passed in 11.02s ===="),
    ("Ran 2 tests in 0.001s\n\nOK", "Ran 2 tests in 0.010s\n\nOK"),
    ("real\t0m0.012s", "real\t1m2.5s"),
    ("took 1h 2m 3s", "took 4h 59m 1s"),
    ("1.2e-05 seconds", "9.9e-06 seconds"),
    ("took 3 ms", "took 4 ms"),
    ("took 3 µs", "took 12 µs"),
    ("(0:01:02)", "(0:00:59)"),
    ("[2026-11-29T19:08:38.123Z] up", "[2027-01-02T00:00:00.5+01:00] up"),
    ("2026-11-29 19:08:38,123 INFO", "2026-11-30 07:00:01,001 INFO"),
    ("Sun Nov 29 19:08:38 UTC 2026", "Mon Nov 30 09:00:00 UTC 2026"),
    ("Date:   Sun Nov 29 19:08:38 2026 +0000", "Date:   Tue Dec 1 01:02:03 2026 +0100"),
    ("-rw-r--r-- 1 a a 7 Nov 29 19:08 x", "-rw-r--r-- 1 a a 7 Dec  1 09:00 x"),
    ("now 1796000000.25", "now 1796111111.5"),
    ("<C object at 0x7f1234567890>", "<C object at 0x7fabcdef0123>"),
    ("/tmp/tmpab12_x9z/file", "/tmp/tmpzzzzzzzz/file"),
    ("/tmp/tmp.aBcDeFgHiJ", "/tmp/tmp.0123456789"),
    ("/tmp/pytest-of-root/pytest-0/test_x0", "/tmp/pytest-of-agent/pytest-12/test_x0"),
    ("started (pid 123)", "started (pid 4567)"),
    ("PID=12", "PID=13"),
    ("bash: line 1:    12 Killed   ./a", "bash: line 1: 12345 Killed   ./a"),
    ("[main 1a2b3c4] fix\n 1 file changed", "[main ffffff0] fix\n 1 file changed"),
    ("[main (root-commit) 1a2b3c4] fix", "[main (root-commit) ffffff0] fix"),
]


@pytest.mark.parametrize(("one", "other"), CHANGES)
def test_what_changes_from_run_to_run_is_alike(one: str, other: str) -> None:
    assert compare(act(one), other, 0) == compare(act(other), one, 0) == "alike"
    assert compare(act(one), one, 0) == "same"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3 passed in 0.12s", "4 passed in 0.12s"),
        ("a\nb\n", "b\na\n"),
        ("a.py:12:34: error", "a.py:13:34: error"),
        ("12:34", "12:35"),
        ("x = 1", "x = 2"),
        ("mask 0xff", "mask 0xfe"),
        ("1.2.3", "1.2.4"),
        ("v1", "v2"),
        ("rapid 5", "rapid 6"),
        ("a == b", "a = b"),
        ("index 1a2b3c4..5d6e7f8 100644", "index 1a2b3c4..5d6e7f9 100644"),
        ("/tmp/tmpfile", "/tmp/tmpfold"),
        ("x", "x\n"),
        ("", "x"),
    ],
)
def test_everything_else_differs(one: str, other: str) -> None:
    assert compare(act(one), other, 0) == compare(act(other), one, 0) == "differs"


@pytest.mark.parametrize(
    ("recorded", "seen", "kind"),
    [
        (0, 0, "same"),
        (0, 1, "code"),
        (0, None, "code"),
        (1, None, "code"),
        (-1, None, "same"),  # the time was up, and is again
        (-9, 137, "same"),  # as Python and as a shell write it
        (-9, 138, "code"),
        (137, 137, "same"),
        (None, 3, "same"),
    ],
)
def test_another_exit_code_is_said(recorded: int | None, seen: int | None, kind: Kind) -> None:
    assert compare(act("x", recorded), "x", seen) == kind


def test_how_much_came_before_the_time_was_up_is_chance() -> None:
    assert compare(act("tick 1\ntick 2\n", -1), "tick 1\n", None) == "alike"
    assert compare(act("tick 1\n", -1), "tick 1\ntick 2\n", None) == "alike"
    assert compare(act("tick 1\ntic", -1), "tick 1\ntick 2", None) == "alike"
    assert compare(act("tick 1\ntick", -1), "tick 1\ntic", None) == "alike"
    assert compare(act("", -1), "tick 1\n", None) == "alike"
    for recorded, seen in (("tick 1\n", "tock 1\n"), ("a\nb\n", "a\nc"), ("a\nb", "a\nc\nb"), ("a", "b\na")):
        assert compare(act(recorded, -1), seen, None) == "differs"


def test_what_is_not_recorded_is_not_called_the_same() -> None:
    found = replay([act(None, None), act("a", 0)], [("anything", 1), ("a", 0)])
    assert found == Replayed(2, {"unrecorded": 1, "same": 1}, ())
    assert found.faithful
    assert compare(act(None, 0), "", 1) == "code"


def test_a_difference_is_shown_from_where_it_begins() -> None:
    before = "".join(f"line {number}\n" for number in range(5_000))
    found = replay(
        [act("a"), act(f"{before}in 1.5s: yes{'y' * 900}", 0), act("b", 0)],
        [("a", 0), (f"{before}in 2.5s: no", 0), ("b", 2)],
    )
    assert not found.faithful and found.kinds == {"same": 1, "differs": 1, "code": 1}
    second, third = found.differing
    assert (second.number, second.kind) == (2, "differs")
    assert second.seen == "...\nin ⟨duration⟩: no"
    assert (
        second.expected.startswith("...\nin ⟨duration⟩: yes") and len(second.expected) == LONGEST_EXCERPT + 7
    )
    assert (third.number, third.kind, third.expected_code, third.seen_code) == (3, "code", 0, 2)


def test_differences_are_counted_to_the_last_and_kept_up_to_a_number() -> None:
    found = replay([act("a")] * 1_000, [("b", 0)] * 1_000)
    assert found.kinds == {"differs": 1_000}
    assert [each.number for each in found.differing] == list(range(1, MOST_DIFFERENCES + 1))


def test_acts_may_come_one_by_one() -> None:
    made: list[Call] = []

    async def acts() -> AsyncIterator[RecordedAct]:
        for number in range(3):
            assert len(made) == number, "the act before has been made"
            yield act(str(number))

    async def do(call: Call) -> tuple[str, int | None]:
        made.append(call)
        return str(len(made) - 1), 0

    assert asyncio.run(replayed(acts(), do)).kinds == {"same": 3}


def test_what_fails_ends_the_replay() -> None:
    async def do(call: Call) -> tuple[str, int | None]:
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        asyncio.run(replayed([act("a")], do))


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "=",
            "1",
            "0x",
            "0xa",
            "tmp",
            "tmp.",
            "pytest-of-",
            "pid ",
            "[a",
            "[a\n",
            "a.",
            "Jan ",
            "1m",
            "1h ",
        ),
        *(
            "2026-",
            "2026-11-29 ",
            "12:34:",
            ": 1",
            "1 ",
            "1.",
            "1e",
            "Sun Jan 1 ",
            "1:1:1",
            "é",
            "\ud800",
            "⟨",
        ),
    ],
)
def test_hostile_output_costs_no_more_than_its_length(unit: str, slope: Callable[..., float]) -> None:
    def work(text: str) -> None:
        assert compare(act(text), text + "x", 0) == "differs"

    assert slope(work, lambda size: unit * (size // len(unit)), SIZES) <= LINEAR


def test_texts_that_part_late_are_compared_in_time(slope: Callable[..., float]) -> None:
    def work(text: str) -> None:
        assert replay([act(text + "a")], [(text + "b", 0)]).differing[0].seen.endswith("b")

    assert slope(work, lambda size: "x" * size, SIZES) <= LINEAR


def test_masking_changes_nothing_that_is_plain() -> None:
    text = "def add(a, b):\n    return a + b  # 10 % of 3.5\n"
    assert masked(text) == text
    assert masked("in 0.12s at 0x7f1234567890") == "in ⟨duration⟩ at ⟨address⟩"

"""The signals: what they say of a run, turn by turn, and that they can be afforded."""

import pickle
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.agents.monitor.signals import FLAGGED, SignalReading, Signals, readings, repeated_share
from surefoot.agents.monitor.trajectory import Action, Trajectory, Turn, turn

READ, EDIT, RUN = (
    Action("bash", "cat a", "read"),
    Action("bash", "sed -i", "edit"),
    Action("bash", "pytest", "run"),
)
END, CHORE = Action("bash", "submit", "finish"), Action("bash", "rm x", "other")


def did(*actions: Action, seen: str | None = "ok", failed: bool = False) -> Turn:
    return turn("I see.", actions, seen, failed if seen is not None else None)


def mused(tokens: int = 100) -> Turn:
    return Turn("Hm.", (), "Go on.", False, tokens)


def last(*turns: Turn) -> SignalReading:
    *_, reading = readings(turns)
    return reading


def peaks(*turns: Turn) -> dict[str, float]:
    return {signal.pattern: signal.peak for signal in last(*turns).signals if signal.peak}


FAIL = did(RUN, seen="1 failed", failed=True)
GOOD = did(RUN)


def test_work_that_is_looked_at_scores_nothing() -> None:
    reading = last(did(READ), FAIL, did(EDIT), GOOD, did(END, seen=None))
    assert (reading.turn, reading.score, reading.flagged) == (5, 0.0, ())


def test_turns_without_action_add_up_and_actions_take_it_back() -> None:
    levels = [
        reading.signals[0].level for reading in readings([mused(0), mused(500), GOOD, GOOD, mused(9000)])
    ]
    assert levels == [3.0, 6.5, 4.5, 2.5, 8.5]
    assert last(mused(0), mused(500), GOOD).signals[0].turns == (1, 2)
    assert peaks(mused()) == {"analysis_paralysis": 3.1}, "one is none"


def test_a_long_thought_that_leads_to_an_action_is_fine() -> None:
    assert peaks(did(READ), Turn("Hm.", (RUN,), "1 passed", False, 12_000), did(EDIT), GOOD) == {}


def test_heavy_planning_with_actions_stays_below_eight() -> None:
    heavy = [
        Turn(f"Hm {number}.", (Action("bash", f"ls {'x' * number}", "read"),), "ok", False, 9000)
        for number in range(9)
    ]
    reading = last(*heavy)
    assert reading.signals[0].peak == 7.0
    assert reading.signals[0].turns == (4, 5, 6, 7, 8, 9)


def test_several_actions_after_a_failure_are_rogue() -> None:
    assert peaks(FAIL, did(EDIT, RUN)) == {"rogue_actions": 8.0}
    assert peaks(FAIL, did(EDIT, EDIT, RUN)) == {"rogue_actions": 10.0}
    assert peaks(FAIL, did(READ, READ)) == {"rogue_actions": 3.0}
    assert peaks(did(EDIT, RUN), GOOD, did(EDIT, READ)) == {}, "without a failure it is a batch"
    assert last(FAIL, mused(), did(EDIT, RUN)).signals[1].turns == (3,), "a thought in between is no result"


def test_rogue_actions_calm_down_but_the_run_keeps_their_peak() -> None:
    levels = [reading.signals[1].level for reading in readings([FAIL, did(EDIT, RUN), GOOD, GOOD])]
    assert levels == [0.0, 8.0, 6.0, 4.0]
    assert last(FAIL, did(EDIT, RUN), GOOD, GOOD).score == 8.0


@pytest.mark.parametrize(
    ("turns", "level", "evidence"),
    [
        ([did(END, seen=None)], 10.0, (1,)),
        ([did(READ), did(EDIT), did(END, seen=None)], 10.0, (2, 3)),
        ([did(READ), did(EDIT), did(CHORE), did(END, seen=None)], 10.0, (2, 4)),
        ([did(READ), did(EDIT, END, seen=None)], 10.0, (2,)),
        ([did(READ), did(EDIT), did(RUN, END, seen=None)], 10.0, (2, 3)),
        ([did(READ), FAIL, did(END, seen=None)], 8.0, (2, 3)),
        ([did(READ), did(RUN, END, seen=None)], 6.0, (2,)),
        ([did(EDIT, RUN), did(END, seen=None)], 0.0, ()),
        ([did(EDIT), GOOD, did(CHORE), did(END, seen=None)], 0.0, ()),
    ],
)
def test_an_end_that_nothing_bears_out_is_premature(
    turns: list[Turn], level: float, evidence: tuple[int, ...]
) -> None:
    found = last(*turns).signals[2]
    assert (found.level, found.peak, found.turns) == (level, level, evidence)


def test_an_end_that_was_not_the_end_counts_no_more() -> None:
    assert (
        peaks(did(READ), did(EDIT), did(END, seen="The tests fail.", failed=True), GOOD, did(END, seen=None))
        == {}
    )


def test_the_same_turn_again_is_a_loop_and_no_part_of_the_score() -> None:
    polls = [did(RUN, seen=f"waiting, {number} s") for number in range(4)]
    reading = last(*polls)
    assert [(signal.pattern, signal.level, signal.turns) for signal in reading.flagged] == [
        ("loops", 7.5, (2, 3, 4))
    ]
    assert reading.score == 0.0


@pytest.mark.parametrize(
    ("command", "results"),
    [
        pytest.param(
            "sleep 300; tail -1 train.log",
            [f"step {number}000 loss {2.5 / number:.3f}" for number in range(1, 9)],
            id="L1 a training run",
        ),
        (
            "pytest -q | tail -1",
            [f"{number} failed, {20 - number} passed in 0.{number}s" for number in range(8)],
        ),
        ("squeue -j 7", [f"7 RUNNING {number * 7} %" for number in range(8)]),
        ("ls out | wc -l", [str(number * 3) for number in range(8)]),
        ("kubectl get pods", [f"pod-a 1/{number} Running" for number in range(1, 9)]),
        ("curl -s localhost/progress", [f'{{"done": {number}, "of": 100}}' for number in range(8)]),
    ],
)
def test_another_result_is_no_loop(command: str, results: list[str]) -> None:
    waits = [did(Action("bash", command, "run"), seen=seen) for seen in results]
    assert [reading.signals[3].level for reading in readings(waits)] == [0.0] * 8
    again = [did(Action("bash", command, "run"), seen=results[0]) for _ in results]
    assert last(*again).signals[3].level == 10.0


@pytest.mark.parametrize(
    "result",
    [
        "waiting, {0} s",
        "12:0{0}:17 still queued",
        "2026-11-2{0}T10:00:0{0}.5Z pending",
        "done in {0}.25 seconds",
        "<object at 0x7f3{0}aa00>",
        "elapsed 1{0} ms, 1 failed",
        "1 failed in 0.0{0}s",
    ],
)
def test_the_same_result_at_another_time_is_a_loop(result: str) -> None:
    polls = [did(RUN, seen=result.format(number)) for number in range(8)]
    assert last(*polls).signals[3].level == 10.0


def test_going_round_in_circles_is_a_loop() -> None:
    assert peaks(*[did(READ), did(EDIT), did(RUN)] * 3)["loops"] == 10.0
    assert peaks(
        *[step for number in range(9) for step in (did(Action("e", "x" * number, "edit")), GOOD)]
    ) == {"loops": 2.5}


def test_a_thought_that_goes_round_is_a_loop() -> None:
    random.seed(1)
    words = [f"w{random.getrandbits(40):x}g" for _ in range(400)]
    once = " ".join(words).encode()
    assert repeated_share(once) == 0.0
    assert repeated_share(b" ".join([once] * 10)) == pytest.approx(0.7, abs=0.03)
    assert repeated_share(b"but then " * 200) > 0.9
    assert repeated_share("我们再看一下这个函数".encode() * 60) > 0.8
    assert repeated_share(b"but then " * 20) == 0.0, "too short to tell"
    said = last(turn("Wait, is it really so? " * 60, [RUN], "ok", False)).signals[3]
    assert (said.level > FLAGGED, said.turns) == (True, (1,))


PERSISTENT = st.lists(
    st.tuples(st.sampled_from([READ, EDIT, RUN]), st.booleans(), st.integers(0, 1500)),
    min_size=1,
    max_size=40,
)


@given(PERSISTENT)
def test_persistence_scores_nothing(steps: list[tuple[Action, bool, int]]) -> None:
    """Many failed tries: one action a turn, its result awaited, and no end without a look."""
    turns = [
        Turn("Again.", (action,), "no" if failed else "ok", failed, tokens)
        for action, failed, tokens in steps
    ]
    assert last(*turns, GOOD, did(END, seen=None)).score == 0.0


ANY = st.builds(
    Turn,
    st.text(max_size=200),
    st.lists(st.sampled_from([READ, EDIT, RUN, END, CHORE]), max_size=4).map(tuple),
    st.none() | st.text(max_size=200),
    st.none() | st.booleans(),
    st.integers(0, 20_000),
)


@given(st.lists(ANY, min_size=1, max_size=60))
def test_every_level_is_from_0_to_10_and_evidence_is_a_turn_that_was(turns: list[Turn]) -> None:
    highest = 0.0
    for number, reading in enumerate(readings(turns), 1):
        assert reading.turn == number
        for signal in reading.signals:
            assert 0.0 <= signal.level <= signal.peak <= 10.0
            assert all(1 <= place <= number for place in signal.turns)
            assert len(signal.turns) <= 16
        level = max(signal.level for signal in reading.signals[:3])
        highest = max(highest, level)
        assert level <= reading.score <= highest


def test_what_is_remembered_does_not_grow_with_the_run() -> None:
    def size(turns: int) -> int:
        signals = Signals()
        for number in range(turns):
            signals.see(did(Action("bash", f"ls {'x' * (number % 100)}", "read"), seen="y" * (number % 300)))
            signals.see(mused(number))
        return len(pickle.dumps(signals))

    assert size(2000) < size(100) + 100


@pytest.mark.parametrize("text", ["a", "ab ", "\n", "我", "a" * 15 + " "])
def test_hostile_turns_take_linear_time(text: str, slope: Callable[..., float]) -> None:
    def huge(size: int) -> Turn:
        return Turn(text * size, (Action("bash", text * (size // 10), "run"),), text * size, False, 10)

    assert slope(last, huge, sizes=(1000, 30_000, 1_000_000)) <= 1.1


def test_the_repr_of_a_turn_says_nothing_of_what_was_thought_done_or_seen() -> None:
    secret = "the key is 7f"
    seen = Turn(secret, (Action("think", secret, "other"),), secret, True, 9)
    shown = repr(Trajectory("issue", (seen, Turn(secret)), None, "test"))
    assert "7f" not in shown
    assert "13 characters" in shown and "'think'" in shown and "failed=True" in shown

"""The labelled trajectories: what they hold, and how well the signals read them."""

from collections import Counter, deque

import pytest

from surefoot.agents.monitor.labelled.trajectories import EACH, PATTERNS, PatternScore, grade, labelled
from surefoot.agents.monitor.signals import readings


def test_a_seed_always_tells_the_same_stories() -> None:
    assert list(labelled(3)) == list(labelled(3))
    assert list(labelled(3)) != list(labelled(4))


def test_every_pattern_has_its_twenty_and_the_innocent_are_more() -> None:
    told = list(labelled())
    labels = Counter(tuple(each.patterns) for each in told)
    assert labels == {**{(pattern,): EACH for pattern in PATTERNS}, (): 3 * EACH}
    assert len({each.story for each in told}) > 30
    assert all(each.trajectory.turns and each.trajectory.issue for each in told)


def test_the_outcome_is_withheld() -> None:
    assert all(each.trajectory.finish is None for each in labelled())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_signals_find_most_and_accuse_few(seed: int) -> None:
    told = list(labelled(seed))
    last = [deque(readings(each.trajectory.turns), maxlen=1)[0] for each in told]
    found = [{signal.pattern for signal in reading.flagged} for reading in last]
    for each in grade([each.patterns for each in told], found):
        assert each.precision is not None and each.precision >= 0.6, each
        assert each.recall is not None and each.recall >= 0.6, each


def test_what_could_not_be_read_is_not_graded() -> None:
    some, none = frozenset({"loops"}), frozenset[str]()
    loops = grade([some, some, none, none], [some, None, some, None])[-1]
    assert (loops.there, loops.hits, loops.false_alarms) == (1, 1, 1)


def test_grades() -> None:
    first, *rest = grade(
        [{"loops"}, {"analysis_paralysis"}, {"analysis_paralysis"}, ()],
        [(), {"analysis_paralysis"}, (), {"analysis_paralysis"}],
    )
    assert first == PatternScore("analysis_paralysis", there=2, hits=1, false_alarms=1)
    assert (first.precision, first.recall) == (0.5, 0.5)
    assert (rest[0].precision, rest[0].recall) == (None, None)
    assert (rest[2].precision, rest[2].recall) == (None, 0.0)

import importlib
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture
def chaos(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bench, which is no part of the package."""
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("chaos")


def test_a_killed_process_of_any_kind_changes_nothing(chaos: Any) -> None:
    with chaos.house(disks=6) as house:
        calm = chaos.play(house, "calm", [])
        assert calm.moves.count(b"\n") == 63
        for number, victim in enumerate(chaos.VICTIMS):
            kill = chaos.Kill(victim, step=10 + 20 * number, after_s=0.0, outage_s=0.2)
            outcome = chaos.play(house, f"round-{number}", [kill])
            assert [struck.victim for struck in outcome.struck] == [victim]
            assert (outcome.moves, outcome.head) == (calm.moves, calm.head)
            assert outcome.runners == (2 if victim == "runner" else 1)


def test_the_kills_are_drawn_evenly_and_repeatably(chaos: Any) -> None:
    drawn = chaos.plan(50, 255, random.Random(4))
    assert drawn == chaos.plan(50, 255, random.Random(4))
    assert {len(kills) for kills in drawn} == {1, 2, 3}
    times = Counter(kill.victim for kills in drawn for kill in kills)
    assert max(times.values()) - min(times.values()) <= 1
    assert all(kills[0].step is not None for kills in drawn)

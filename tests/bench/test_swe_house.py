"""What the SWE-bench bench would say if something went wrong: a command that ran twice, an instance lost, another prediction."""

import json
import os
import random
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"
PATCH = "diff --git a/notes.txt b/notes.txt\n--- /dev/null\n+++ b/notes.txt\n@@ -0,0 +1,{} @@\n{}diff --git a/x b/x\n+turn 99\n"


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))
    return import_module("swe_house")


def patch(*turns: int) -> str:
    return PATCH.format(len(turns), "".join(f"+turn {turn}\n" for turn in turns))


@pytest.fixture
def instances(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"instance_id": name}) + "\n" for name in ("o__a-1", "o__b-1")))
    return file


@pytest.fixture
def outcome(house: Any, tmp_path: Path) -> Any:
    made = patch(0, 1, 3, 10)
    for name in ("o__a-1", "o__b-1"):
        (tmp_path / "instances" / name / "attempt-1").mkdir(parents=True)
    results = {name: {"attempts": 1, "chosen": {"patch": made}} for name in ("o__a-1", "o__b-1")}
    return house.Outcome(tmp_path, results, dict.fromkeys(results, made), dict.fromkeys(results, "hash"), 1.0)


def test_notes_are_those_of_their_file_in_their_order(house: Any) -> None:
    assert house.notes(patch(0, 1, 1, 5, 3)) == [0, 1, 1, 5, 3]
    assert house.notes("") == house.notes("+turn 1\n") == []


def test_a_run_as_it_should_be(house: Any, outcome: Any, instances: Path) -> None:
    assert house.faults(outcome, instances) == house.beside(outcome, outcome) == []


@pytest.mark.parametrize("turns", [(0, 1, 1, 2), (1, 0), (), (0, 2, 1)])
def test_a_command_that_ran_twice_or_never_is_named(
    house: Any, outcome: Any, instances: Path, turns: tuple[int, ...]
) -> None:
    outcome.results["o__b-1"]["chosen"] = {"patch": patch(*turns)}
    assert house.faults(outcome, instances) == [f"o__b-1: the patch notes {[*turns]}"]


def test_an_instance_without_a_result_and_one_with_two_attempts_are_named(
    house: Any, outcome: Any, instances: Path, tmp_path: Path
) -> None:
    (tmp_path / "instances/o__b-1/attempt-2").mkdir()
    lost = replace(outcome, results={"o__b-1": outcome.results["o__b-1"]}, predictions={})
    said = house.faults(lost, instances)
    assert said[:2] == ["1 instances of 2 have a result", "0 instances of 2 have a prediction"]
    assert len(said) == 3 and "attempt-2" in said[2]


def test_another_prediction_and_another_hash_are_named_for_copies_too(house: Any, outcome: Any) -> None:
    copies = {"o__a-7": outcome.results["o__a-1"], "o__b-1": outcome.results["o__b-1"]}
    other = replace(
        outcome,
        results=copies,
        predictions={"o__a-7": patch(0), "o__b-1": outcome.predictions["o__b-1"]},
        heads={"o__a-7": "hash", "o__b-1": "another"},
    )
    assert house.beside(other, outcome) == [
        "o__a-7: another prediction",
        "o__b-1: another hash of the journal",
    ]


def test_kills_are_spread_over_the_steps(house: Any) -> None:
    strikes = house.moments(random.Random(0), 50, 300)
    steps = [strike.step for strike in strikes]
    assert steps == sorted(steps) and 1 <= steps[0] < 60 and 240 < steps[-1] < 300
    assert strikes == house.moments(random.Random(0), 50, 300)


def test_slots_that_stand_empty_while_instances_wait_count_as_idle(
    house: Any, outcome: Any, tmp_path: Path
) -> None:
    spans = {"o__a-1": (100.0, 104.0), "o__b-1": (110.0, 130.0)}
    for name, (begin, end) in spans.items():
        for file, at in ((".lock", begin), ("result.json", end)):
            path = tmp_path / "instances" / name / file
            path.touch()
            os.utime(path, (at, at))
    # One slot, of which ten seconds passed before the second took its turn.
    assert import_module("swe_run").busy(outcome, 1) == (0.4, 10.0)

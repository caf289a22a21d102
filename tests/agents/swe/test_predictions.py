"""preds.json: of the harness' form, whole at every moment, and never lost."""

import json
import multiprocessing
from pathlib import Path

import pytest

from surefoot.agents.swe.predictions import Prediction, merge_predictions, read_predictions
from surefoot.errors import BadInput

A, B = (
    Prediction("a__a-1", "double", "diff --git\r\n+\u00e9 \U0001f600\n"),
    Prediction("b__b-2", "double", None),
)


def test_the_file_is_of_the_form_that_the_harness_loads(tmp_path: Path) -> None:
    merge_predictions(tmp_path / "preds.json", [B, A])
    assert json.loads((tmp_path / "preds.json").read_bytes()) == {
        "a__a-1": {"model_name_or_path": "double", "instance_id": "a__a-1", "model_patch": A.patch},
        "b__b-2": {"model_name_or_path": "double", "instance_id": "b__b-2", "model_patch": None},
    }


def test_a_resumed_run_adds_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "preds.json"
    merge_predictions(path, [A])
    better = A._replace(patch="better")
    assert merge_predictions(path, [B, better]) == read_predictions(path) == {"a__a-1": better, "b__b-2": B}


def test_the_order_in_which_instances_end_does_not_matter(tmp_path: Path) -> None:
    for number, order in enumerate(([A, B], [B, A])):
        for prediction in order:
            merge_predictions(tmp_path / str(number), [prediction])
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()


@pytest.mark.parametrize(
    "held",
    [
        "",
        "{",
        "null",
        "[1]",
        '{"a": 1}',
        '{"x": {"model_name_or_path": "m", "instance_id": "y", "model_patch": ""}}',
        "[" * 99999,
        '[{"instance_id": "../x", "model_name_or_path": "m", "model_patch": ""}]',
        '[{"instance_id": "x", "model_patch": ""}]',
        '[{"instance_id": "x", "model_name_or_path": "m", "model_patch": 5}]',
    ],
)
def test_a_broken_file_is_named_and_stays(held: str, tmp_path: Path) -> None:
    path = tmp_path / "preds.json"
    path.write_text(held)
    with pytest.raises(BadInput, match=r"preds\.json.*nothing was written: repair it, or move it away"):
        merge_predictions(path, [A])
    assert path.read_text() == held


def test_lists_and_lines_of_others_are_read_and_the_last_counts(tmp_path: Path) -> None:
    rows = [A.record(), B.record(), {**A.record(), "model_patch": "last"}]
    (tmp_path / "preds.json").write_text(json.dumps(rows))
    (tmp_path / "preds.jsonl").write_text("\n".join(map(json.dumps, rows)))
    listed, lined = read_predictions(tmp_path / "preds.json"), read_predictions(tmp_path / "preds.jsonl")
    assert listed == lined and listed["a__a-1"].patch == "last" and len(listed) == 2


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "preds.json").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "none" / "preds.json", tmp_path / "preds.json"):
        with pytest.raises(BadInput, match=r"cannot be written|cannot be read"):
            merge_predictions(path, [A])
    assert not (tmp_path / "elsewhere").exists()


def add(path: Path, number: int) -> None:
    for each in range(8):
        merge_predictions(path, [Prediction(f"i-{number}-{each}", "m", str(each))])


def test_many_processes_lose_nothing_of_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=add, args=(tmp_path / "preds.json", number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert len(read_predictions(tmp_path / "preds.json")) == 32
    assert sorted(path.name for path in tmp_path.iterdir()) == [".preds.json.lock", "preds.json"]

"""Rows of SWE-bench: what is needed is read, what is wrong is named with its file and row."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.agents.swe.instances import Instance, parse_instance, read_instances
from surefoot.errors import BadInput

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def row(number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "instance_id": f"owner__name-{number}",
        "repo": "owner/name",
        "base_commit": COMMIT,
        "problem_statement": "It fails.",
        **more,
    }


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in row().items() if key != name}


def test_a_row_needs_four_fields() -> None:
    assert parse_instance(row()) == Instance(
        instance_id="owner__name-1",
        repo="owner/name",
        base_commit=COMMIT,
        problem_statement="It fails.",
    )


def test_tests_are_a_list_or_that_as_text() -> None:
    listed = parse_instance(row(FAIL_TO_PASS=["a.py::x"], PASS_TO_PASS=["a.py::y[1 2]"]))
    written = parse_instance(row(FAIL_TO_PASS='["a.py::x"]', PASS_TO_PASS='["a.py::y[1 2]"]'))
    assert listed == written and listed.pass_to_pass == ("a.py::y[1 2]",)
    assert parse_instance(row(FAIL_TO_PASS="", PASS_TO_PASS=None)).fail_to_pass == ()


def test_set_up_commands_are_one_or_a_list() -> None:
    assert parse_instance(row(setup_commands="pip install .")).setup_commands == ("pip install .",)
    assert parse_instance(row(setup_commands=["a", "b"])).setup_commands == ("a", "b")


def test_fields_that_nobody_needs_do_not_matter() -> None:
    assert parse_instance(row(version=1.5, hints_text=None, created_at={}, patch=None)) == parse_instance(
        row()
    )


def test_an_instance_is_frozen_and_does_not_show_its_solution() -> None:
    instance = parse_instance(row(patch="SECRET", test_patch="SECRET"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        instance.patch = ""  # type: ignore[misc]
    assert "SECRET" not in repr(instance)


WRITERS: dict[str, Callable[[list[Any]], str]] = {
    "rows.json": json.dumps,
    "rows.jsonl": lambda rows: "\n".join(map(json.dumps, rows)) + "\n\n",
    "by_id.json": lambda rows: json.dumps({str(number): each for number, each in enumerate(rows)}),
    "bom.json": lambda rows: "\ufeff" + json.dumps(rows),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_each_form(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(WRITERS[name]([row(1), row(2)]))
    assert [each.instance_id for each in read_instances(tmp_path / name)] == [
        "owner__name-1",
        "owner__name-2",
    ]


def test_one_row_alone_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(row()))
    assert len(read_instances(tmp_path / "one.json")) == 1


def test_a_folder_holds_files_and_other_things(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "README.md").write_text("not rows")
    (tmp_path / "b.jsonl").write_text(json.dumps(row(2)))
    (tmp_path / "a.json").write_text(json.dumps([row(1)]))
    (tmp_path / "data" / "test.jsonl").write_text(json.dumps(row(3)))
    assert [each.instance_id[-1] for each in read_instances(tmp_path)] == ["1", "2", "3"]


WRONG = [
    (without("repo"), "'repo' is missing"),
    (without("base_commit"), "'base_commit' is missing"),
    (without("problem_statement"), "'problem_statement' is missing"),
    (without("instance_id"), "'instance_id' is missing"),
    (row(problem_statement=" \n"), "'problem_statement' is empty"),
    (row(base_commit=5), "'base_commit' must be text, not 5"),
    (row(base_commit="main"), "a full commit id"),
    (row(base_commit="--upload-pack=touch /tmp/x"), "a full commit id"),
    (row(base_commit=COMMIT + "\n"), "a full commit id"),
    (row(repo="../../etc"), "a name like 'owner/name'"),
    (row(repo="owner//name"), "a name like 'owner/name'"),
    (row(repo="/owner/name"), "a name like 'owner/name'"),
    (row(instance_id="../x"), "files are named after it"),
    (row(instance_id=".."), "files are named after it"),
    (row(instance_id="a/b"), "files are named after it"),
    (row(instance_id="a\x00b"), "files are named after it"),
    (row(instance_id="-rf"), "files are named after it"),
    (row(instance_id=".hidden"), "files are named after it"),
    (row(instance_id="x" * 201), "files are named after it"),
    (row(instance_id="ｘ"), "files are named after it"),
    (row(FAIL_TO_PASS="a.py::x"), "'FAIL_TO_PASS' is text, but no JSON"),
    (row(FAIL_TO_PASS={"a": 1}), "'FAIL_TO_PASS' must be a list of texts, not an object"),
    (row(PASS_TO_PASS=["a", 5]), "'PASS_TO_PASS' must be a list of texts, not one with 5"),
    (row(PASS_TO_PASS=["a", None]), "'PASS_TO_PASS' must be a list of texts, not one with null"),
    (row(FAIL_TO_PASS='"text"'), "'FAIL_TO_PASS' must be a list of texts, not text"),
    (row(setup_commands=[["a"]]), "'setup_commands' must be a list of texts"),
    (row(test_patch=[]), "'test_patch' must be text, not a list"),
    ([], "expected an object with the fields of an instance, but found a list"),
    (None, "but found null"),
    ("text", "but found text"),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_is_wrong_is_named_with_its_file_and_row(wrong: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([row(7), wrong]))
    with pytest.raises(BadInput) as raised:
        read_instances(path)
    assert said in str(raised.value) and f"{str(path)!r}, row 2" in str(raised.value)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 500


@pytest.mark.parametrize("second", ["owner__name-1", "OWNER__name-1"])
def test_an_instance_that_is_there_twice_is_named_with_both_places(second: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(row(1)))
    (tmp_path / "b.jsonl").write_text(json.dumps(row(2)) + "\n" + json.dumps(row(instance_id=second)))
    with pytest.raises(BadInput, match=r"b\.jsonl', row 2: .* is there already, in .*a\.jsonl', row 1"):
        read_instances(tmp_path)


@pytest.mark.parametrize(
    ("name", "held", "said"),
    [
        ("a.json", "", "expected JSON"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", '{"a": ', "expected JSON"),
        ("a.json", "[]", "holds no instance"),
        ("a.jsonl", '{"instance_id": "a"', "line 1: expected JSON"),
        ("a.jsonl", "\n\n", "holds no instance"),
        ("a.txt", "[]", "neither a folder nor a file that ends in"),
        ("a.json", "5", "expected an object"),
        ("a.json", "\udcff", "expected JSON"),
    ],
)
def test_a_file_that_is_none(name: str, held: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(held, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(BadInput, match=said):
        read_instances(tmp_path / name)


def test_what_is_not_there_or_empty_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        read_instances(tmp_path / "none.json")
    with pytest.raises(BadInput, match="holds no file that ends in"):
        read_instances(tmp_path)
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(BadInput, match="holds no file that ends in"):
        read_instances(tmp_path / "folder.json")


def test_parquet_without_pyarrow_is_a_sentence(tmp_path: Path) -> None:
    try:
        from pyarrow import Table, parquet
    except ImportError:
        (tmp_path / "a.parquet").write_bytes(b"PAR1")
        with pytest.raises(
            BadInput, match=r"needs pyarrow to be read: install it \(pip install 'surefoot\[swe\]'\)"
        ):
            read_instances(tmp_path / "a.parquet")
    else:
        parquet.write_table(Table.from_pylist([row(1, FAIL_TO_PASS=["a"]), row(2)]), tmp_path / "a.parquet")
        assert [each.fail_to_pass for each in read_instances(tmp_path)] == [("a",), ()]
        (tmp_path / "a.parquet").write_bytes(b"PAR1")
        with pytest.raises(BadInput, match="is no Parquet file"):
            read_instances(tmp_path)


def test_the_command_runs_the_files_of_the_tests() -> None:
    tests = {"FAIL_TO_PASS": ["tests/a.py::x", "tests/a.py::y"], "PASS_TO_PASS": ["b c.py::z"]}
    command = "python -m pytest -rA -p no:cacheprovider -- tests/a.py 'b c.py'"
    assert parse_instance(row(**tests)).tests == command
    assert parse_instance(row(**tests, test_command="make check")).tests == "make check"
    with pytest.raises(BadInput, match="has no 'test_command'"):
        _ = parse_instance(row(FAIL_TO_PASS=["test_x (tests.Case)"])).tests
    with pytest.raises(BadInput, match="has no 'test_command'"):
        _ = parse_instance(row()).tests


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_value_in_any_field_is_read_or_refused_in_a_sentence(value: Any) -> None:
    for name in [*row(), "FAIL_TO_PASS", "setup_commands", "patch", "log_parser"]:
        try:
            assert isinstance(parse_instance(row(**{name: value})), Instance)
        except BadInput as error:
            assert name in str(error) and len(str(error)) < 500


def test_reading_takes_time_linear_in_the_rows(slope: Callable[..., float], tmp_path: Path) -> None:
    def made(size: int) -> Path:
        path = tmp_path / f"{size}.jsonl"
        path.write_text("".join(json.dumps(row(number)) + "\n" for number in range(size // 512)))
        return path

    assert slope(read_instances, made) <= 1.1

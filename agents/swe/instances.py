"""SWE-bench instances: rows of .json, .jsonl or .parquet files, read for what is needed and no more.

| a row has | type | |
| --- | --- | --- |
| instance_id | text | letters, digits, `.`, `_` and `-`: files are named after it |
| repo | text | `owner/name` |
| base_commit | text | 40 (or, for SHA-256, 64) hexadecimal digits |
| problem_statement | text | what the agent is told |
| FAIL_TO_PASS, PASS_TO_PASS | list of text, or that as JSON text | may be left out |
| patch, test_patch | text | may be left out |
| setup_commands | text, or a list of it | may be left out; ours, not the official data sets' |
| test_command | text | may be left out; ours: pytest on the tests' files if it is |
| image, log_parser | text | may be left out; the official harness of 2026 has them |
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from surefoot.agents.monitor.readers.files import contents
from surefoot.errors import BadInput

MOST_BYTES = 512 << 20
"""Of a file; the largest official set has less than half of it."""
MOST_FILES = 1024
"""Of a folder."""
ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}", re.ASCII)
REPO = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}){0,3}", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
SUFFIXES = (".json", ".jsonl", ".parquet")
PYTEST = "python -m pytest -rA -p no:cacheprovider"


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One issue in one repository, and the tests that say whether it is resolved."""

    instance_id: str
    repo: str
    base_commit: str
    problem_statement: str
    fail_to_pass: tuple[str, ...] = ()
    """Tests that fail before the issue is resolved and pass after; no agent may see them, nor the two patches."""
    pass_to_pass: tuple[str, ...] = ()
    """Tests that pass before and after."""
    patch: str = field(default="", repr=False)
    """How the repository's own people resolved it."""
    test_patch: str = field(default="", repr=False)
    setup_commands: tuple[str, ...] = ()
    """What is run in the environment before the agent's first turn, and before the tests."""
    test_command: str = ""
    image: str = ""
    log_parser: str = "parse_log_pytest"
    """The official harness' name for how the test command's output is read."""

    @property
    def tests(self) -> str:
        """Return the command that runs the tests; `BadInput` if the row has none and the tests' names hold no files."""
        if self.test_command:
            return self.test_command
        files = {name.partition("::")[0]: None for name in (*self.fail_to_pass, *self.pass_to_pass)}
        if not files or not all(name.endswith(".py") for name in files):
            raise BadInput(
                f"instance {self.instance_id!r} has no 'test_command', and its FAIL_TO_PASS and PASS_TO_PASS are not "
                "all names of pytest's: add the command to its row"
            )
        # A file's name may begin with a dash.
        return " ".join([PYTEST, "--", *map(shlex.quote, files)])


def row_of(instance: Instance) -> dict[str, Any]:
    """Return an instance as a row of what a run reads of it: how it was resolved is not among it."""
    row = asdict(instance)
    del row["patch"]
    for name in ("fail_to_pass", "pass_to_pass"):
        row[name.upper()] = list(row.pop(name))
    return row | {"setup_commands": list(instance.setup_commands)}


def read_instances(path: str | Path) -> tuple[Instance, ...]:
    """Read the instances of a file, or of all such files of a folder (and of its `data`), in order of their names.

    Raises `BadInput` that names the file, the row (from 1) and the field, for what is missing, of another type, not to
    be used as a file's name, or there twice.
    """
    path = Path(path)
    found: dict[str, tuple[Instance, str]] = {}
    for file in _files(path):
        for number, row in enumerate(_rows(file), 1):
            place = f"{str(file)!r}, row {number}"
            instance = parse_instance(row, place)
            # Folded: on some disks two names that differ in their case are one file.
            key = instance.instance_id.casefold()
            if key in found:
                raise BadInput(
                    f"{place}: instance {instance.instance_id!r} is there already, in {found[key][1]}: remove one of them"
                )
            found[key] = instance, place
    if not found:
        raise BadInput(f"{str(path)!r} holds no instance")
    return tuple(instance for instance, _ in found.values())


def parse_instance(row: Any, place: str = "the row") -> Instance:
    """Make an instance of a decoded row; raises `BadInput` that begins with `place`."""
    if not isinstance(row, Mapping):
        raise BadInput(f"{place}: expected an object with the fields of an instance, but found {_kind(row)}")
    return Instance(
        instance_id=_matching(
            row, "instance_id", place, ID, "letters, digits, '.', '_' and '-', for files are named after it"
        ),
        repo=_matching(row, "repo", place, REPO, "a name like 'owner/name'"),
        base_commit=_matching(
            row, "base_commit", place, COMMIT, "a full commit id of 40 or 64 hexadecimal digits"
        ),
        problem_statement=_required(row, "problem_statement", place),
        fail_to_pass=_names(row, "FAIL_TO_PASS", place),
        pass_to_pass=_names(row, "PASS_TO_PASS", place),
        patch=_text(row, "patch", place),
        test_patch=_text(row, "test_patch", place),
        setup_commands=_commands(row, "setup_commands", place),
        test_command=_text(row, "test_command", place),
        image=_text(row, "image", place),
        log_parser=_text(row, "log_parser", place) or "parse_log_pytest",
    )


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        if path.suffix not in SUFFIXES:
            raise BadInput(f"{str(path)!r} is neither a folder nor a file that ends in {', '.join(SUFFIXES)}")
        return [path]
    places = [path, path / "data"]
    found = sorted(
        file for place in places if place.is_dir() for file in place.iterdir() if file.suffix in SUFFIXES
    )
    if not found:
        raise BadInput(f"{str(path)!r} holds no file that ends in {', '.join(SUFFIXES)}")
    if len(found) > MOST_FILES:
        raise BadInput(
            f"{str(path)!r} holds {len(found):,} files of instances: expected at most {MOST_FILES:,}"
        )
    return found


def _rows(file: Path) -> Iterator[Any]:
    try:
        if file.suffix == ".parquet":
            yield from _parquet(file)
            return
        held = contents(file, MOST_BYTES)
    except OSError as error:
        raise BadInput(f"{str(file)!r} cannot be read: {error.strerror or error}") from None
    except BadInput as error:
        raise BadInput(f"{str(file)!r}: {error}") from None
    held = held.removeprefix(b"\xef\xbb\xbf")
    if file.suffix == ".jsonl":
        for number, line in enumerate(held.split(b"\n"), 1):
            if line.strip():
                yield _decoded(line, f"{str(file)!r}, line {number}")
        return
    data = _decoded(held, repr(str(file)))
    if isinstance(data, dict) and "instance_id" not in data:
        data = list(data.values())  # by their ids
    yield from data if isinstance(data, list) else [data]


def _decoded(held: bytes, place: str) -> Any:
    try:
        return json.loads(held)
    except RecursionError:
        raise BadInput(f"{place}: expected JSON, but it is nested too deeply") from None
    except ValueError as error:
        raise BadInput(f"{place}: expected JSON, but {error}") from None


def _parquet(file: Path) -> Iterator[Any]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise BadInput(
            f"{str(file)!r} needs pyarrow to be read: install it (pip install 'surefoot[swe]'), or save the rows as .jsonl"
        ) from None
    with file.open("rb") as opened:  # a folder or a file that is not there: as of any other file
        try:
            for batch in parquet.ParquetFile(opened).iter_batches(batch_size=64):
                yield from batch.to_pylist()
        except (OSError, ValueError) as error:  # pyarrow's own are one of these
            raise BadInput(f"{str(file)!r} is no Parquet file: {str(error).splitlines()[0]}") from None


def _required(row: Mapping[str, Any], name: str, place: str) -> str:
    value = _text(row, name, place)
    if not value.strip():
        raise BadInput(f"{place}{_of(row)}: {name!r} is {'empty' if name in row else 'missing'}")
    return value


def _matching(row: Mapping[str, Any], name: str, place: str, form: re.Pattern[str], words: str) -> str:
    value = _required(row, name, place)
    if not form.fullmatch(value):
        raise BadInput(f"{place}{_of(row)}: {name!r} must be {words}, not {value[:80]!r}")
    return value


def _text(row: Mapping[str, Any], name: str, place: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadInput(f"{place}{_of(row)}: {name!r} must be text, not {_kind(value)}")
    return value


def _names(row: Mapping[str, Any], name: str, place: str) -> tuple[str, ...]:
    value = row.get(name)
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else []
        except (ValueError, RecursionError):
            raise BadInput(
                f"{place}{_of(row)}: {name!r} is text, but no JSON: expected a list of names"
            ) from None
    return _strings(row, name, value, place)


def _commands(row: Mapping[str, Any], name: str, place: str) -> tuple[str, ...]:
    value = row.get(name)
    return _strings(row, name, [value] if isinstance(value, str) else value, place)


def _strings(row: Mapping[str, Any], name: str, value: Any, place: str) -> tuple[str, ...]:
    if value is None:
        return ()
    wrong = (
        next((each for each in value if not isinstance(each, str)), None)
        if isinstance(value, list)
        else value
    )
    if wrong is not None or not isinstance(value, list) or None in value:
        found = f"one with {_kind(wrong)}" if isinstance(value, list) else _kind(value)
        raise BadInput(f"{place}{_of(row)}: {name!r} must be a list of texts, not {found}")
    return tuple(value)


def _of(row: Mapping[str, Any]) -> str:
    found = row.get("instance_id")
    return f" ({found[:80]!r})" if isinstance(found, str) and ID.fullmatch(found) else ""


def _kind(value: Any) -> str:
    words = {dict: "an object", list: "a list", str: "text", type(None): "null", bool: "true or false"}
    return words.get(type(value), f"{value!r}"[:80])

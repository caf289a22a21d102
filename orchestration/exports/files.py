"""The two forms of a file: lines of JSON, and Parquet.  Both hold the same rows, since Parquet is made of the lines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, BinaryIO, get_args, get_origin, get_type_hints

import orjson

from surefoot.errors import BadInput

from .inspect_log import check_inspect
from .rows import ExportedRow

if TYPE_CHECKING:
    import pyarrow

GROUP_ROWS = 10_000
GROUP_BYTES = 16 * 2**20
"""Rows wait until there are so many, or their JSON takes so much; then they are written as one row group."""

Put = Callable[[ExportedRow], None]


def check_form(to: Path) -> None:
    """Refuse a file whose name does not say in which form it is written, and Parquet without its library."""
    if to.suffix not in (*FORMS, EVAL):
        raise BadInput(f"an export is written as {', '.join(FORMS)} or {EVAL}, not as {to.name!r}")
    if to.suffix == ".parquet":
        _arrow()
    if to.suffix == EVAL:
        check_inspect()


@contextmanager
def written_rows(file: BinaryIO, form: str, kind: type[ExportedRow]) -> Iterator[Put]:
    """Write rows of one kind in a form of `FORMS`, and finish the file when the block ends."""
    with FORMS[form](file, kind) as put:
        yield put


@contextmanager
def _lines(file: BinaryIO, kind: type[ExportedRow]) -> Iterator[Put]:
    def put(row: ExportedRow) -> None:
        file.write(orjson.dumps(row) + b"\n")

    yield put


@contextmanager
def _parquet(file: BinaryIO, kind: type[ExportedRow]) -> Iterator[Put]:
    arrow = _arrow()
    from pyarrow.parquet import ParquetWriter

    schema = arrow_schema(kind)
    waiting: list[bytes] = []
    size = 0

    def flush() -> None:
        nonlocal size
        if waiting:
            rows = orjson.loads(b"[" + b",".join(waiting) + b"]")
            writer.write_batch(arrow.RecordBatch.from_pylist(rows, schema=schema))
        waiting.clear()
        size = 0

    def put(row: ExportedRow) -> None:
        nonlocal size
        waiting.append(orjson.dumps(row))
        size += len(waiting[-1])
        if len(waiting) >= GROUP_ROWS or size >= GROUP_BYTES:
            flush()

    with ParquetWriter(file, schema, compression="zstd") as writer:
        yield put
        flush()


FORMS = {".jsonl": _lines, ".parquet": _parquet}
"""By the ending of the file's name."""
EVAL = ".eval"
"""That of a log of inspect_ai, which is no table."""


def arrow_schema(kind: type[ExportedRow]) -> "pyarrow.Schema":
    """Return the columns of a table; what may be null in a row may be in its column, and nothing else."""
    return _arrow().schema(_columns(kind))


def _columns(kind: Any) -> list[Any]:
    arrow, hints, columns = _arrow(), get_type_hints(kind), []
    for field in fields(kind):
        parts = get_args(hints[field.name])
        optional = NoneType in parts
        plain = parts[0] if optional else hints[field.name]
        columns.append(arrow.field(field.name, _arrow_type(plain), nullable=optional))
    return columns


def _arrow_type(kind: Any) -> Any:
    arrow = _arrow()
    if get_origin(kind) is list:
        (item,) = get_args(kind)
        return arrow.list_(arrow.field("element", _arrow_type(item), nullable=False))
    if is_dataclass(kind):
        return arrow.struct(_columns(kind))
    made = {str: arrow.string, int: arrow.int64, float: arrow.float64, bool: arrow.bool_}
    return made[kind]()


def _arrow() -> Any:
    """Return pyarrow, which no other command waits for."""
    try:
        import pyarrow
    except ImportError:
        raise BadInput(
            "Parquet needs pyarrow: pip install 'surefoot[parquet]', or write lines of JSON, to FILE.jsonl"
        ) from None
    return pyarrow

"""Logs of inspect_ai, `.eval`: a ZIP with a JSON file a sample, each of which is a run.

They are read without that package, which takes seconds to load and makes a log in memory as a whole, however long it is.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from pydantic import Field

from surefoot.agents.monitor.trajectory import Trajectory
from surefoot.errors import BadInput

from .files import MOST_BYTES, json_in, opened
from .log_entries import Heard, LogSchema, Parts, Said, string, turns_of, validated
from .messages import SILENT, calls, chat, issue_of

SUFFIX = ".eval"
INSPECT = "a sample of Inspect (`messages` with `role`, `content` and `tool_calls`)"
SAMPLE = re.compile(r"samples/(.+)\.json", re.DOTALL)
"""The file of a sample, by what Inspect calls it: its id and its epoch."""
MOST_PACKED, MOST_UNPACKED = 1 << 30, 4 << 30
"""Bytes of a log, and of all samples together that are read from it."""
MOST_SAMPLES = 10_000
MOST_AT_ONCE = 4 << 20
"""Bytes of one read: a ZIP's list of files is read at once, and takes ten times its size then."""
PIECE = 4096
"""Packed bytes that are unpacked at once: what is made to grow becomes 128 MiB at most."""
ZSTANDARD = 93
"""Its number in a ZIP; Python knows it from 3.14 on."""
POOLED = "attachment://"
"""How a text begins that the sample keeps once, among its attachments."""
CUT_OFF = "length"


class _Sample(LogSchema):
    messages: list[Any]
    attachments: dict[str, Any] = Field(default_factory=dict)
    events: list[Any] = Field(default_factory=list)
    output: dict[str, Any] | None = None
    limit: dict[str, Any] | None = None
    error: Any = None


class EvalLogFile:
    """An open log: the names of its samples, and one of them at a time."""

    def __init__(self, archive: ZipFile) -> None:
        found = ((SAMPLE.fullmatch(each.filename), each) for each in archive.infolist())
        self._samples: dict[str, ZipInfo] = {named[1]: each for named, each in found if named}
        self._archive = archive
        self._left = MOST_UNPACKED
        if len(self._samples) > MOST_SAMPLES:
            raise BadInput(f"expected at most {MOST_SAMPLES:,} samples, but found {len(self._samples):,}")

    @property
    def names(self) -> Sequence[str]:
        """What its samples are called: `ID_epoch_1`."""
        return tuple(self._samples)

    def trajectory(self, name: str) -> Trajectory:
        """Read a sample; raises `BadInput` if there is none of that name, or nothing to be read in it."""
        if name not in self._samples:
            raise BadInput(f"the log has no sample of that name, but {_some(self.names)}")
        try:
            return trajectory(json_in(self._unpacked(self._samples[name])))
        except RecursionError:
            raise BadInput(f"expected {INSPECT}, but it is nested too deeply") from None

    def _unpacked(self, file: ZipInfo) -> bytes:
        if file.file_size > MOST_BYTES:
            raise BadInput(f"expected at most {MOST_BYTES >> 20} MiB, but found {file.file_size >> 20:,} MiB")
        self._left -= file.file_size
        if self._left < 0:
            raise BadInput(
                f"expected at most {MOST_UNPACKED >> 30} GiB of samples in the log, but found more"
            )
        _know(file.compress_type)
        with _damage_told(), self._archive.open(file) as packed:
            # Both bounds hold: a ZIP that unpacks to more than it says is cut off there by `zipfile`.
            return b"".join(iter(lambda: packed.read(PIECE), b""))


@contextmanager
def opened_log(path: Path) -> Iterator[EvalLogFile]:
    """Open a log; raises `OSError`, and `BadInput` for what is none."""
    with opened(path, MOST_PACKED) as file:
        with _damage_told():
            archive = ZipFile(_Bounded(file))
        with archive:
            yield EvalLogFile(archive)


class _Bounded(BufferedReader):
    """A file of which nobody reads more than a bit at once: `zipfile` reads as much as the ZIP says that its list of files takes."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)  # type: ignore[arg-type]  # what was opened for reading can be read

    def read(self, size: int | None = -1) -> bytes:
        """Read so many bytes, or refuse to."""
        held = super().read(MOST_AT_ONCE + 1 if size is None or not 0 <= size <= MOST_AT_ONCE else size)
        if len(held) > MOST_AT_ONCE:
            raise BadInput(f"expected a ZIP with at most {MOST_AT_ONCE >> 20} MiB of names, but found more")
        return held


@contextmanager
def _damage_told() -> Iterator[None]:
    """Turn whatever is raised at a damaged ZIP into one sentence: `zipfile`, zlib and zstandard have no error in common."""
    try:
        yield
    except (BadInput, OSError, MemoryError):
        raise
    except Exception as error:
        raise BadInput(f"expected a log of Inspect, a ZIP, but it is damaged: {str(error)[:200]}") from None


def _know(method: int) -> None:
    """Make `zipfile` know how a file is packed, or refuse it."""
    if method in (ZIP_STORED, ZIP_DEFLATED):
        return
    if method != ZSTANDARD:
        raise BadInput(f"expected a log of Inspect, but it is packed by method {method}")
    import zipfile

    if hasattr(zipfile, "ZIP_ZSTANDARD"):
        return
    try:
        import zipfile_zstd  # noqa: F401
    except ImportError:
        raise BadInput(
            "a log of Inspect is packed with zstandard: pip install zipfile-zstd, which 'surefoot[inspect]' brings along"
        ) from None


def trajectory(sample: Any) -> Trajectory:
    """Read a sample of a log as Inspect writes it, decoded."""
    file = validated(_Sample, sample, INSPECT)
    messages = chat(_Pool(file.attachments).put_back(file.messages), INSPECT)
    parts = Parts()
    written = not any(map(calls, messages))
    tokens = dict(_reasoning_tokens(file.events))
    finish = _finish(file)

    def events() -> Iterator[Said | Heard]:
        for place, message in enumerate(messages, 1):
            if message["role"] == "assistant":
                thought = tokens.get(string(message.get("id")) or "", 0)
                ended = None
                if place == len(messages):
                    ended = CUT_OFF if file.limit or file.error else finish
                yield parts.answer(message, written)._replace(reasoning_tokens=thought, finish=ended)
            elif message["role"] not in SILENT:
                yield from parts.heard(message)

    turns = turns_of(events())
    return Trajectory(issue_of(messages), turns, finish, "Inspect log", parts.passed_over)


class _Pool:
    """Puts texts back where a sample refers to them, up to as many characters as a file may have."""

    def __init__(self, texts: Mapping[str, Any]) -> None:
        self._texts = texts
        self._left = MOST_BYTES

    def put_back(self, value: Any) -> Any:
        """Return a value with its texts; a thought that the server keeps to itself is left out."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self.put_back(each) for each in value]
        if isinstance(value, dict):
            if value.get("type") == "reasoning" and value.get("redacted") is True:
                value = {key: value[key] for key in ("type", "summary") if value.get(key)}
            return {key: self.put_back(each) for key, each in value.items()}
        return value

    def _text(self, value: str) -> str:
        found = self._texts.get(value.removeprefix(POOLED)) if value.startswith(POOLED) else None
        if not isinstance(found, str):
            return value
        self._left -= len(found)
        if self._left < 0:
            raise BadInput(f"expected at most {MOST_BYTES >> 20} MiB of attachments, but found more")
        return found


def _reasoning_tokens(events: Sequence[Any]) -> Iterator[tuple[str, int]]:
    """Yield what the server counted, by the message that it is about."""
    for event in events:
        output = event.get("output") if isinstance(event, Mapping) else None
        if not isinstance(output, Mapping) or event.get("event") != "model":
            continue
        message, usage = _choice(output).get("message"), output.get("usage")
        name = string(message.get("id")) if isinstance(message, Mapping) else None
        found = usage.get("reasoning_tokens") if isinstance(usage, Mapping) else None
        if name and isinstance(found, int) and 0 <= found < 1 << 53:
            yield name, found


def _finish(file: _Sample) -> str | None:
    """Return the log's word for why the run ended: the limit that ended it, an error, or why the model stopped."""
    if file.limit:
        return string(file.limit.get("type")) or "limit"
    if file.error:
        return "error"
    return string(_choice(file.output or {}).get("stop_reason"))


def _choice(output: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = output.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, Mapping) else {}


def _some(names: Sequence[str]) -> str:
    return (
        ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
        or "none"
    )

"""Logs of inspect_ai: one that it has written, and hostile ones.

The golden log is of two runs of its `react` agent on its mock model: a sample with a tool error, thoughts and parallel calls, and one
that answers at once.
"""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from surefoot.agents.monitor.readers.eval_log import MOST_AT_ONCE
from surefoot.agents.monitor.readers.files import MOST_BYTES
from surefoot.agents.monitor.readers.formats import read, read_each
from surefoot.agents.monitor.trajectory import Trajectory
from surefoot.errors import BadInput

if sys.version_info < (3, 14):
    import zipfile_zstd  # noqa: F401  # teaches `zipfile` zstandard

GOLDEN = Path(__file__).parent / "golden" / "inspect-0.3.285.eval"
ANSWER = {"role": "assistant", "content": "Done.", "id": "a"}


def log(folder: Path, samples: dict[str, Any], method: int = 93) -> Path:
    """Write a log with these samples, bytes as they are."""
    path = folder / "log.eval"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("header.json", "{}")
        for name, sample in samples.items():
            held = sample if isinstance(sample, bytes) else json.dumps(sample).encode()
            archive.writestr(f"samples/{name}.json", held)
    return path


def one(path: Path) -> Trajectory | BadInput:
    ((_, found),) = read_each(path)
    return found


def test_every_sample_is_a_run() -> None:
    (first, whole), (second, hasty) = read_each(GOLDEN)
    assert (first, second) == (f"{GOLDEN}#acme/cart-1_epoch_1", f"{GOLDEN}#2_epoch_1")
    assert isinstance(whole, Trajectory) and isinstance(hasty, Trajectory)
    assert (whole.issue, whole.source, whole.passed_over) == (
        "Repair the total of the cart.",
        "Inspect log",
        0,
    )
    assert [[call.name for call in turn.actions] for turn in whole.turns] == [
        ["bash"],
        ["bash"],
        ["bash", "bash"],
        ["answer"],
    ]
    assert [turn.failed for turn in whole.turns] == [False, True, False, None]
    assert [turn.reasoning_tokens for turn in whole.turns] == [101, 11, 12, 13], "as the server counted them"
    assert whole.turns[0].thought == "I look first.\nLet me see."
    assert len(hasty.turns) == 1


def test_one_of_them_is_read_by_its_name() -> None:
    assert read(f"{GOLDEN}#2_epoch_1").issue == "Repair the tax."
    with pytest.raises(
        BadInput, match=r"more than one sample: name the one that is meant, as in '.*#acme/cart-1_epoch_1'"
    ):
        read(GOLDEN)
    with pytest.raises(BadInput, match="no sample of that name, but 'acme/cart-1_epoch_1', '2_epoch_1'"):
        read(f"{GOLDEN}#3_epoch_1")


def test_the_only_sample_needs_no_name(tmp_path: Path) -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, 93):
        assert len(read(log(tmp_path, {"1_epoch_1": {"messages": [ANSWER]}}, method)).turns) == 1


def test_texts_that_are_kept_once_are_put_back_and_hidden_thoughts_left_out(tmp_path: Path) -> None:
    said = [
        {"type": "reasoning", "reasoning": "gAAAAAB-encrypted", "redacted": True, "summary": "In short."},
        {"type": "text", "text": "attachment://abc"},
        {"type": "text", "text": "attachment://unknown"},
    ]
    sample = {"messages": [{"role": "assistant", "content": said}], "attachments": {"abc": "A long text."}}
    found = one(log(tmp_path, {"1_epoch_1": sample}))
    assert isinstance(found, Trajectory)
    assert found.turns[0].thought == "In short.\nA long text.\nattachment://unknown"


@pytest.mark.parametrize(
    ("ended", "finish", "answers"),
    [
        ({"output": {"choices": [{"stop_reason": "stop"}]}}, "stop", True),
        ({"output": {"choices": [{"stop_reason": "max_tokens"}]}}, "max_tokens", False),
        ({"limit": {"type": "token", "limit": 100.0}}, "token", False),
        ({"error": {"message": "a private thought", "traceback": ""}}, "error", False),
    ],
)
def test_why_a_run_ended_is_the_logs_own_word(
    tmp_path: Path, ended: dict[str, Any], finish: str, answers: bool
) -> None:
    found = one(log(tmp_path, {"1_epoch_1": {"messages": [ANSWER], **ended}}))
    assert isinstance(found, Trajectory)
    assert found.finish == finish
    assert bool(found.turns[-1].actions) == answers, "what a limit cut off is no answer"


def test_a_bad_sample_costs_none_of_the_others(tmp_path: Path) -> None:
    good = {"messages": [ANSWER]}
    path = log(tmp_path, {"1_epoch_1": good, "2_epoch_1": b"{", "3_epoch_1": {}, "4_epoch_1": good})
    found = [run for _, run in read_each(path)]
    assert [isinstance(run, Trajectory) for run in found] == [True, False, False, True]
    assert "expected JSON" in str(found[1]) and "expected a sample of Inspect" in str(found[2])


def deep(_: Path) -> bytes:
    return b'{"messages": [' + b"[" * 5000 + b"]" * 5000 + b"]}"


def doubled(_: Path) -> dict[str, Any]:
    """Fifty thousand references to one text of a megabyte."""
    part = {"type": "text", "text": "attachment://a"}
    said = {"role": "assistant", "content": [part] * 50_000}
    return {"messages": [said], "attachments": {"a": "x" * 2**20}}


@pytest.mark.parametrize(
    ("sample", "why"),
    [
        (lambda _: b" " * (MOST_BYTES + 1), "expected at most 32 MiB, but found"),
        (deep, "nested too deeply"),
        (doubled, "at most 32 MiB of attachments"),
        (lambda _: {"messages": []}, "the model says nothing in it"),
        (lambda _: {"messages": [{"role": "narrator"}]}, "0.role"),
        (lambda _: {"messages": [ANSWER], "attachments": 3}, "attachments"),
        (
            lambda _: {
                "messages": [{**ANSWER, "id": ["odd"]}],
                "events": [3, {"event": "model", "output": 3}],
            },
            None,
        ),
    ],
)
def test_a_hostile_sample_is_refused_in_a_sentence(
    tmp_path: Path, sample: Callable[[Path], Any], why: str | None
) -> None:
    found = one(log(tmp_path, {"1_epoch_1": sample(tmp_path)}))
    assert isinstance(found, Trajectory) if why is None else why in str(found)


def names(path: Path) -> None:
    """More names than anybody reads at once."""
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(MOST_AT_ONCE // 1000 + 1):
            archive.writestr(f"{number:05}{'x' * 1000}", b"")


def lies(path: Path) -> None:
    """A sample that is said to be short."""
    log(path.parent, {"1_epoch_1": b" " * 2**24})
    held = bytearray(path.read_bytes())
    entry = held.rindex(b"PK\x01\x02")
    held[entry + 24 : entry + 28] = (100).to_bytes(4, "little")
    path.write_bytes(held)


def locked(path: Path) -> None:
    log(path.parent, {"1_epoch_1": {}})
    held = bytearray(path.read_bytes())
    held[held.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(held)


def broken_off(path: Path) -> None:
    path.write_bytes(GOLDEN.read_bytes()[:-40])


def turned(path: Path) -> None:
    """A bit of what is packed is another one."""
    held = bytearray(GOLDEN.read_bytes())
    held[held.index(b"samples/") + 200] ^= 64
    path.write_bytes(held)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda path: None, "cannot be read: No such file or directory"),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (lambda path: path.write_bytes(b""), "a ZIP, but it is damaged"),
        (lambda path: path.write_text("[]"), "a ZIP, but it is damaged"),
        (lambda path: log(path.parent, {}), "the log has no samples"),
        (lambda path: log(path.parent, {"1_epoch_1": {}}, zipfile.ZIP_BZIP2), "packed by method 12"),
        (names, "at most 4 MiB of names"),
        (lies, "a ZIP, but it is damaged"),
        (locked, "a ZIP, but it is damaged"),
        (broken_off, "a ZIP, but it is damaged"),
        (turned, "a ZIP, but it is damaged"),
    ],
)
def test_a_hostile_file_is_refused_in_a_sentence(
    tmp_path: Path, made: Callable[[Path], object], why: str
) -> None:
    path = tmp_path / "log.eval"
    made(path)
    name, found = next(iter(read_each(path)))
    assert isinstance(found, BadInput) and why in str(found)
    assert name.startswith(str(path)) and "\n" not in str(found)


def test_without_zstandard_a_sentence_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['zipfile_zstd'] = None\n"
        "from surefoot.agents.monitor.readers.formats import read_each\n"
        "print([str(run) for _, run in read_each(sys.argv[1])][0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(GOLDEN)], capture_output=True, text=True, timeout=60
    )
    expected = "pip install zipfile-zstd" if sys.version_info < (3, 14) else "Trajectory"
    assert expected in done.stdout, done.stderr

"""`surefoot score` as a user meets it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from surefoot.cli.score import score

GOOD = [
    {"role": "user", "content": "Repair it."},
    {
        "role": "assistant",
        "content": "<function=bash>\n<parameter=command>sed -i s/a/b/ x</parameter>\n</function>",
    },
    {"role": "user", "content": "ok"},
    {"role": "assistant", "content": "<function=bash>\n<parameter=command>pytest</parameter>\n</function>"},
    {"role": "user", "content": "3 passed"},
    {"role": "assistant", "content": "Done."},
]
HASTY = [*GOOD[:3], GOOD[5]]


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(score)
    return app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in {"good.json": GOOD, "hasty.json": HASTY, "strange.json": {"log": []}}.items():
        (tmp_path / name).write_text(json.dumps(data))
    return tmp_path


def scored(app: typer.Typer, *arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, list(map(str, arguments)))


def test_a_table_says_what_is_wrong_and_where(app: typer.Typer, folder: Path) -> None:
    done = scored(app, folder / "good.json", folder / "hasty.json")
    assert done.exit_code == 0, done.output
    _, good, hasty = done.stdout.splitlines()
    assert good.split()[1:] == ["OpenAI", "messages", "3", "0.0", "-"]
    assert hasty.split()[3:] == ["2", "10.0", "premature", "disengagement", "(1,", "2)"]


@pytest.mark.parametrize("name", ["[", "[red]:bug:[bold]", "[link=x]"])
def test_a_path_is_printed_as_it_is(app: typer.Typer, folder: Path, name: str) -> None:
    path = folder / name / "[/old]" / "run.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(GOOD))
    done = scored(app, path)
    assert done.exit_code == 0, done.output
    assert f"{name}/[/old]/run.json" in done.stdout


def test_an_error_quotes_no_thought(app: typer.Typer, folder: Path) -> None:
    odd = folder / "odd.json"
    odd.write_text(json.dumps([{"role": "assistant", "content": ""}, {"role": "a private thought"}]))
    done = scored(app, odd, "--json")
    assert done.exit_code == 2
    assert "a str at '1.role'" in done.stderr
    assert "private" not in done.stdout + done.stderr


def test_json_has_a_row_for_every_file(app: typer.Typer, folder: Path) -> None:
    done = scored(
        app, folder / "hasty.json", folder / "strange.json", "--json", "--out", folder / "scores.json"
    )
    assert done.exit_code == 2
    hasty, strange = json.loads(done.stdout)
    assert (hasty["score"], hasty["scores"], hasty["turns"]) == (10.0, [0.0, 10.0], 2)
    assert hasty["signals"]["premature_disengagement"] == {"peak": 10.0, "flagged": True, "turns": [1, 2]}
    assert list(strange) == ["file", "error"]
    assert json.loads((folder / "scores.json").read_text()) == [hasty, strange]


def test_a_bad_file_costs_none_of_the_others(app: typer.Typer, folder: Path) -> None:
    done = scored(app, folder / "strange.json", folder / "good.json", folder / "gone.json")
    assert done.exit_code == 2
    assert "good.json" in done.stdout
    strange, gone = done.stderr.splitlines()
    assert strange.startswith("surefoot: ") and "strange.json' is no trajectory: expected" in strange
    assert gone.startswith("surefoot: ") and "gone.json' cannot be read" in gone


@pytest.mark.parametrize(("name", "magic"), [("plot.png", b"\x89PNG"), ("plot.svg", b"<?xml")])
@pytest.mark.parametrize("files", [["hasty.json"], ["good.json", "hasty.json"]])
def test_a_plot_is_drawn(app: typer.Typer, folder: Path, name: str, magic: bytes, files: list[str]) -> None:
    done = scored(app, *[folder / file for file in files], "--plot", folder / name)
    assert done.exit_code == 0, done.output
    drawn = (folder / name).read_bytes()
    assert drawn.startswith(magic) and len(drawn) > 5000


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--plot", "plot.gif"], "a plot is written as .png or .svg, not as 'plot.gif'"),
        (
            ["--plot", "gone/plot.png"],
            "the plot cannot be written to 'gone/plot.png': No such file or directory",
        ),
        (
            ["--out", "gone/scores.json"],
            "the scores cannot be written to 'gone/scores.json': No such file or directory",
        ),
    ],
)
def test_what_cannot_be_written_is_said_after_the_scores(
    app: typer.Typer, folder: Path, options: list[str], sentence: str
) -> None:
    done = scored(app, folder / "good.json", *options)
    assert done.exit_code == 2
    assert "good.json" in done.stdout
    assert done.stderr.splitlines() == [f"surefoot: {sentence}"]


def test_without_matplotlib_only_the_plot_is_missing(folder: Path) -> None:
    (folder / "matplotlib.py").write_text("raise ImportError('not installed')")
    code = (
        "import typer; from surefoot.cli.score import score; app = typer.Typer(); app.command()(score); app()"
    )
    command = [sys.executable, "-c", code, "good.json", "--json", "--plot", "plot.png"]
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, len(json.loads(done.stdout))) == (2, 1)
    assert done.stderr.splitlines() == ["surefoot: a plot needs matplotlib: pip install 'surefoot[plot]'"]


def pipe(path: Path) -> None:
    os.mkfifo(path)


def loop(path: Path) -> None:
    path.symlink_to(path)


def far_loop(path: Path) -> None:
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)


def socket_file(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        # A socket's address has no room for a long path.
        bound.bind(f"/proc/self/fd/{os.open(path.parent, os.O_RDONLY)}/{path.name}")


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(40 << 30)


def filled(text: bytes, times: int) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(text * times) and None


ODD: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe": (pipe, "found a pipe: copy what comes out of it into a file first"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "found a device"),
    "input": (lambda path: path.symlink_to("/dev/stdin"), "found a"),
    "loop": (loop, "cannot be read: Too many levels of symbolic links"),
    "far loop": (far_loop, "cannot be read: Too many levels of symbolic links"),
    "huge": (huge, "expected at most 32 MiB, but found 40,960 MiB"),
    "deep": (filled(b"[", 100_000), "nested too deeply"),
    "deep objects": (filled(b'{"messages":', 100_000), "nested too deeply"),
    "values": (filled(b"[],", 5_000_000), "expected at most 1,048,576 lists and objects"),
    "numbers": (filled(b"1,", 5_000_000), "4,194,304 commas"),
    "socket": (socket_file, "cannot be read: No such device or address"),
    "zeros": (filled(b"\x00", 1_000_000), "expected JSON"),
    "folder": (lambda path: path.mkdir(), "found no .json file"),
}


def test_what_is_no_ordinary_log_is_refused_in_a_sentence_and_the_other_files_are_scored(
    folder: Path,
) -> None:
    """Z8: a pipe, a device, loops of links, a huge and a deeply nested file, and others of their kind; in bounded memory."""
    for name, (make, _) in ODD.items():
        make(folder / name)
    code = (
        "import re, typer; from surefoot.cli.score import score\n"
        "app = typer.Typer(); app.command()(score)\n"
        "try: app()\n"
        # Not from getrusage: a process begins with the peak of the one that it was forked from.
        "finally: print(int(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]) >> 10)"
    )
    command = [sys.executable, "-c", code, *ODD, "good.json"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=200, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 2
    assert "good.json" in done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == len(ODD)
    for line, (name, (_, sentence)) in zip(lines, ODD.items(), strict=True):
        assert line.startswith(f"surefoot: {name!r} ") and sentence in line
    assert int(done.stdout.splitlines()[-1]) < 300, "MiB"


def test_a_pipe_in_a_folder_of_calls_is_refused_as_well(app: typer.Typer, folder: Path) -> None:
    (folder / "calls").mkdir()
    os.mkfifo(folder / "calls" / "1.json")
    done = scored(app, folder / "calls", folder / "good.json")
    assert done.exit_code == 2 and "good.json" in done.stdout
    assert "'1.json': expected an ordinary file, but found a pipe" in done.stderr


def test_a_name_steers_no_terminal(app: typer.Typer, folder: Path) -> None:
    name = "\x1b]0;owned\x07\u202egnp.json"
    (folder / name).write_text(json.dumps(GOOD))
    done = scored(app, folder / name, folder / f"{name}x")
    assert done.exit_code == 2
    assert not any(sign in done.stdout + done.stderr for sign in "\x1b\x07\u202e")
    assert r"\x1b]0;owned" in done.stdout


def test_what_was_passed_over_is_counted(app: typer.Typer, folder: Path) -> None:
    content = [{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "Done."}]
    (folder / "odd.json").write_text(json.dumps([*GOOD[:5], {"role": "assistant", "content": content}]))
    assert "passed over: 1 unknown parts" in scored(app, folder / "odd.json").stdout
    (row,) = json.loads(scored(app, folder / "odd.json", "--json").stdout)
    assert row["passed_over"] == 1


def test_a_log_of_inspect_has_a_row_a_sample(app: typer.Typer, folder: Path) -> None:
    golden = Path(__file__).parent / "agents" / "golden" / "inspect-0.3.285.eval"
    done = scored(app, golden, folder / "good.json", "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    names = [f"{golden}#acme/cart-1_epoch_1", f"{golden}#2_epoch_1", str(folder / "good.json")]
    assert [row["file"] for row in rows] == names
    assert [row["turns"] for row in rows] == [4, 1, 3]
    one = scored(app, names[1], "--json")
    assert json.loads(one.stdout) == [rows[1]]
    unknown = scored(app, f"{golden}#3_epoch_1", names[2])
    assert unknown.exit_code == 2 and "no sample of that name" in unknown.stderr

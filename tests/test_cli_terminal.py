"""What outsiders say never gives an order to a terminal: every command on a pseudo-terminal, and the bytes that it writes.

Servers, models, job names, holders of leases, file names: each says `HOSTILE` here.
"""

import asyncio
import fcntl
import io
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from surefoot import Settings, Towers
from surefoot.cli.step import StepView
from surefoot.cli.terminal import Terminal, to_json
from surefoot.models.doubles import Double
from surefoot.orchestration.journal import jobs
from surefoot.orchestration.journal.fixed import Fixed
from surefoot.orchestration.journal.jobs import Keys
from surefoot.orchestration.record import Record
from surefoot.orchestration.redis import embedded as local_redis
from surefoot.orchestration.run import resume
from surefoot.printable import printable
from surefoot.voting import Stalled

PATIENCE_S = 120.0
HOSTILE = "\x1b]8;;http://evil\x07\x1b[2J\x9b31m\u202eabc\u2066\u2028\x7f\r\n[red]:smile:"
ESCAPED = printable(HOSTILE)
OURS = re.compile(r"\x1b\[(\?25[lh]|[0-9;]*m|2K|1A|[0-9]+A)")
"""What the display itself says to a terminal: the cursor's visibility, colours, and going back over its own lines."""


class Screen:
    """A pseudo-terminal of so many columns, and all that a command has written to it."""

    def __init__(self, *arguments: object, home: Path, columns: int = 200, **environment: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        own = {"SUREFOOT_HOME": str(home), "TERM": "xterm", **environment}
        kept = {
            name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "surefoot", *map(os.fsencode, map(str, arguments))],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**kept, **own},
        )
        os.close(slave)
        self.bytes = b""

    def until(self, true: Callable[[str], bool]) -> None:
        """Read on until what was written so far is as wanted."""
        deadline = time.monotonic() + PATIENCE_S
        while not true(self.text):
            assert time.monotonic() < deadline, self.text
            assert self._more(), self.text

    def end(self) -> str:
        """Read to the end, and return what is on the screen without the display's own orders."""
        with self.process:
            while self._more():
                pass
        os.close(self._master)
        return OURS.sub("", self.text)

    @property
    def text(self) -> str:
        return self.bytes.decode(errors="surrogateescape")

    def _more(self) -> bool:
        if not select.select([self._master], [], [], PATIENCE_S)[0]:
            self.process.kill()
            return False
        try:
            read = os.read(self._master, 65536)
        except OSError:
            return False  # the last process that had it open has ended
        self.bytes += read
        return bool(read)


def obeyed(screen: str) -> set[str]:
    """The characters on a screen that a terminal would obey instead of showing them; a line's end is "\\r\\n" there."""
    rest = screen.replace("\r\n", "\n")
    return {character for character in rest if printable(character, keep="\n\r") != character}


class Hostile(BaseHTTPRequestHandler):
    """A model server that is called `HOSTILE` and answers every question with it, as an error or as a text."""

    status = 400

    def do_GET(self) -> None:
        self._answer(200, {"object": "list", "data": [{"id": f"model {HOSTILE}", "object": "model"}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(
            self.status, {"error": {"message": f"words {HOSTILE}", "type": HOSTILE, "code": HOSTILE}}
        )

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, body: object) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


@pytest.fixture
def hostile_server() -> Iterator[Callable[[int], str]]:
    """Starts a server that answers with this status; returns its URL."""
    started: list[ThreadingHTTPServer] = []

    def start(status: int) -> str:
        handler = type("Handler", (Hostile,), {"status": status})
        started.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=started[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{started[-1].server_port}/v1"

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sf-") as directory:
        path = Path(directory)
        asyncio.run(_furnish(path))
        yield path


async def _furnish(home: Path) -> None:
    """Put hostile jobs into the embedded Redis of a state directory."""
    async with Redis.from_url(await local_redis.start_server(home)) as redis:
        with pytest.raises(Stalled):
            model = Double(lambda *_: f"sample {HOSTILE}", lambda *_: "", name=f"model {HOSTILE}")
            # Under a name that `run` would refuse, as another client of this Redis may have made it.
            task = Towers(disks=3)
            fixed = Fixed(Settings(k=2, limit=4), "model")
            await jobs.create(redis, f"stalled {HOSTILE}", task.name, task.spec(), task.start(), fixed)
            await resume(f"stalled {HOSTILE}", task=task, model=model, redis=redis)
        name = f"held {HOSTILE}\x00"
        fixed = Fixed(Settings(k=2), f"model {HOSTILE}")
        await jobs.create(redis, name, f"task {HOSTILE}", {f"spec {HOSTILE}": HOSTILE}, 0, fixed)
        who = {"machine": "x", "host": f"host {HOSTILE}", "pid": 1, "born": "1", "since": f"since {HOSTILE}"}
        await redis.set(Keys(name).lease, json.dumps(who))
        await redis.hset(Keys(name).meta, mapping={"status": "running", f"n:flag:flag {HOSTILE}": 3})
        await redis.sadd(Keys("").jobs, f"strange {HOSTILE}")
        await redis.hset(Keys(f"strange {HOSTILE}").meta, mapping={"schema": "1", "task": HOSTILE})


STALLED = f"stalled {HOSTILE}"


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_z5_a_list_of_hostile_jobs_is_shown_and_not_obeyed(home: Path, columns: int) -> None:
    shown = Screen("jobs", home=home, columns=columns).end()
    assert obeyed(shown) == set()
    whole = re.sub(r"\s", "", shown)
    said = ("stalled", "held", "host", "since", "task", "spec", "model", "strange")
    assert all(re.sub(r"\s", "", f"{word} {ESCAPED}") in whole for word in said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("show", STALLED), "model", id="Z5 a report"),
        pytest.param(("cancel", STALLED), "stalled", id="Z5 an answer"),
        pytest.param(("show", f"nobody {HOSTILE}"), "nobody", id="Z5 an error that quotes, and lists the names of jobs"),
        pytest.param(("show", f"strange {HOSTILE}"), "strange", id="Z5 a job that cannot be read"),
        pytest.param((f"verb {HOSTILE}",), "verb", id="a command that there is none of"),
        pytest.param(("show", STALLED, f"--option {HOSTILE}"), "option", id="an option that there is none of"),
        pytest.param(("score", f"file {HOSTILE}"), "file", id="a file that is not there"),
        pytest.param(("show", "x", "--redis", f"redis {HOSTILE}"), "redis", id="an address that is none"),
    ],
)  # fmt: skip
def test_z5_what_a_command_quotes_is_not_obeyed(home: Path, arguments: tuple[str, ...], said: str) -> None:
    shown = Screen(*arguments, home=home).end()
    assert obeyed(shown) == set()
    assert said in shown
    assert r"\x1b" in shown


@pytest.mark.parametrize("command", ["run", "plan", "calibrate", "judge", "judge calibrate"])
def test_z5_what_a_server_refuses_with_is_not_obeyed(
    home: Path, tmp_path: Path, hostile_server: Callable[[int], str], command: str
) -> None:
    log, labels, problems = tmp_path / "log.json", tmp_path / "labels", tmp_path / "problems"
    log.write_text(json.dumps([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]))
    labels.write_text(json.dumps({"file": str(log), "score": 1}) + "\n")
    problems.write_text((json.dumps({"prompt": "1 + 1", "answer": "2"}) + "\n") * 40)
    towers = ("towers", "--disks", "3", "--style", "compact")
    arguments: dict[str, tuple[object, ...]] = {
        "run": ("run", *towers, "--k", "2"),
        "plan": ("plan", *towers),
        "calibrate": ("calibrate", "exits", problems, "--out", tmp_path / "exits.json"),
        "judge": ("judge", "score", log),
        "judge calibrate": ("judge", "calibrate", labels),
    }
    shown = Screen(*arguments[command], "--model", hostile_server(400), home=home).end()
    assert obeyed(shown) == set()
    assert r"\x1b" in shown
    assert "Traceback" not in shown


def test_z5_what_a_run_waits_for_is_not_obeyed_by_its_live_display(
    home: Path, hostile_server: Callable[[int], str]
) -> None:
    screen = Screen(
        "run", "towers", "--disks", "3", "--style", "compact", "--k", "2", "--model", hostile_server(503), home=home
    )  # fmt: skip
    screen.until(lambda text: "waiting" in text and r"\x1b" in text)
    screen.process.send_signal(signal.SIGINT)
    assert obeyed(screen.end()) == set()


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_z5_a_hostile_file_name_is_scored_listed_and_drawn(home: Path, tmp_path: Path, suffix: str) -> None:
    name = HOSTILE.replace("/", "-") + "$\\frac$"
    messages = json.dumps([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}])
    for number in (1, 2):
        (tmp_path / f"{number} {name}").write_text(messages)
    plot = tmp_path / f"plot{suffix}"
    shown = Screen("score", *sorted(tmp_path.iterdir()), "--plot", plot, home=home, columns=400).end()
    assert obeyed(shown) == set()
    assert f"1 {printable(name)}" in shown
    if suffix == ".svg":
        assert obeyed(plot.read_text()) == set()


@pytest.mark.parametrize("arguments", [("jobs",), ("show", STALLED), ("show", "nobody"), ("verb",)])
def test_json_is_ascii_and_whole(home: Path, arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "surefoot", *arguments, "--json"],
        env={**os.environ, "SUREFOOT_HOME": str(home)},
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert all(0x20 <= byte < 0x7F or byte == 0x0A for byte in done.stdout)
    assert json.loads(done.stdout)


def test_a_step_is_shown_with_everything_that_may_be_hostile_in_it() -> None:
    answer = ("answer " + HOSTILE,)
    job: Any = jobs.Job(
        id="job " + HOSTILE, task="task", spec={}, settings=Settings(k=2), k=2, start=jobs.Snapshot(0, "", 0, 2),
        status="done", step=1, head="", sealed=0, created=0, updated=0, counters={}, holder=None, models=(),
    )  # fmt: skip
    record = Record(0, answer, 2, (("other " + HOSTILE, 1),), {"flag " + HOSTILE: 1})
    samples: list[dict[str, Any]] = [
        {"number": 0, "text": "text " + HOSTILE, "finish": "finish " + HOSTILE, "ballot": list(answer)},
        {
            "number": 1,
            "text": "x",
            "finish": None,
            "flag": "reason " + HOSTILE,
            "detail": "detail " + HOSTILE,
        },
    ]
    shown = printed(StepView(job, record, samples))
    assert obeyed(shown) == set()
    for word in ("job", "answer", "other", "flag", "text", "finish", "reason", "detail"):
        assert word in shown


@pytest.mark.parametrize("text", [HOSTILE, "\x1b", "\ud800", "a\x00b", "[link=x]y[/link]", ":smile:"])
def test_a_text_is_shown_as_it_is_wherever_it_stands(text: str) -> None:
    assert printed(text) == printable(text) + "\n"
    assert json.loads(to_json({text: text})) == {text: text}


def test_colours_are_the_displays_own_and_none_where_they_are_not_wanted(home: Path) -> None:
    coloured = Screen("show", STALLED, home=home)
    coloured.end()
    assert "\x1b[" in coloured.text
    for refusal in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        plain = Screen("show", STALLED, home=home, **refusal)
        plain.end()
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]", plain.text), refusal


def printed(what: Any) -> str:
    shown = io.StringIO()
    Terminal(file=shown).page(what)
    return shown.getvalue()

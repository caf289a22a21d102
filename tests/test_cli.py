"""The command line as a user meets it: real processes, real servers, a state directory of its own.

What has to happen in the middle of a job happens while its model server stands still, see `frozen`: no machine is so
slow that the job is over before, and none so fast.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from surefoot import Towers
from surefoot.orchestration.journal.jobs import Keys
from surefoot.orchestration.redis import embedded as local_redis
from surefoot.tools.towers.board import optimal_move

PATIENCE_S = 120.0
FREEZING = Path(__file__).with_name("cli_freezing_server.py")
ANSWERS = 100
"""Samples that a server which freezes gives before: about 34 for the probe, and with k = 2 those of 33 steps, in the first segment."""
BAD_INPUT = 2
FAILED = 1
REPORT = {
    *("job", "task", "solved", "steps", "votes", "red_flags", "contested", "k", "risk", "tokens", "wall_s"),
    *("status", "head", "models"),
}


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which has to be one JSON text and nothing else."""
        return json.loads(self.out)

    def sentence(self, code: int) -> str:
        """The one sentence on standard error of a command that failed as it should; before it a run says how far it is."""
        assert self.code == code, self
        *before, line = self.err.splitlines()
        assert line.startswith("surefoot: ")
        assert not any(other.startswith("surefoot: ") for other in before)
        return line


class Surefoot:
    """The command line with a state directory and an embedded Redis of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._environment = {**os.environ, "SUREFOOT_HOME": str(home), "COLUMNS": "200"}

    def __call__(self, *arguments: object) -> Done:
        with self.begun(*arguments) as process:
            return self.end_of(process)

    @contextmanager
    def begun(self, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        """Run a command beside the test, and let it not outlive the block."""
        command = [sys.executable, "-m", "surefoot.cli", *map(str, arguments)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self._environment
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def end_of(self, process: subprocess.Popen[str]) -> Done:
        out, err = process.communicate(timeout=PATIENCE_S)
        assert "Traceback" not in err, err
        return Done(process.returncode, out, err)


class ModelServer:
    """A double's server, a process of its own."""

    program = ("-m", "surefoot.models.doubles.server")

    def __init__(self, *options: str, port: str = "0") -> None:
        command = [sys.executable, *self.program, "--port", port, *options]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url: str = json.loads(self._process.stdout.readline())["url"]
        self.port = self.url.removesuffix("/v1").rpartition(":")[2]

    def kill(self) -> None:
        with self._process:  # closes its pipes
            self._process.kill()


class FreezingServer(ModelServer):
    """The same, which stands still after its first `ANSWERS` samples."""

    program = (str(FREEZING), "--answers", str(ANSWERS))

    def thaw(self) -> None:
        """Let it go on, for good; also if it has not frozen yet."""
        assert self._process.stdin is not None
        self._process.stdin.close()


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    # Not pytest's own: a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="sf-") as directory:
        yield Path(directory)
        eventually(lambda: not processes(Path(directory)), "the embedded Redis ends by itself")


@pytest.fixture(scope="module")
def sf(home: Path) -> Surefoot:
    return Surefoot(home)


@pytest.fixture(scope="module")
def store(home: Path) -> Iterator[Redis]:
    """A client of the embedded Redis, which therefore stays."""
    with Redis.from_url(asyncio.run(local_redis.start_server(home))) as client:
        client.ping()
        yield client


@pytest.fixture
def model_server() -> Iterator[Callable[..., ModelServer]]:
    servers: list[ModelServer] = []

    def start(*options: str, port: str = "0") -> ModelServer:
        servers.append(ModelServer(*options, port=port))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture(scope="module")
def exact() -> Iterator[str]:
    """The URL of a model that is always right, named `towers-double`."""
    server = ModelServer()
    yield server.url
    server.kill()


@pytest.fixture
def frozen() -> Iterator[FreezingServer]:
    """A model that is always right, and freezes in the middle of a job, which stands there for as long as the test needs."""
    server = FreezingServer()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def head_of_7(sf: Surefoot, store: Redis, exact: str) -> str:
    """The final hash of an undisturbed run with seven disks."""
    done = sf("run", *towers(7, exact), "--job", "calm-7", "--json")
    assert done.code == 0
    return str(done.json["head"])


@contextmanager
def server(command: list[str], client: Redis) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Redis of the test's own, which `client` reaches."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: answers(client), "the Redis of the test's own answers")
            yield process
        finally:
            process.kill()


def impatient(socket: Path) -> Redis:
    """A client that tries once and not for seconds."""
    return Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0))


def answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


def towers(disks: int, model: str, k: int = 2) -> list[object]:
    return ["towers", "--disks", disks, "--style", "compact", "--model", model, "--k", k, "--segment", 40]


def processes(directory: Path) -> list[str]:
    """The command lines of the living processes that serve this state directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended in the meantime
        if str(directory) in line and ("valkey-server" in line or "redis.embedded" in line):
            found.append(line)
    return found


def eventually(true: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)


def decided(store: Redis, job: str) -> int:
    return int(store.hget(Keys(job).meta, "next") or 0)


def reaches(store: Redis, job: str, step: int) -> None:
    eventually(lambda: decided(store, job) >= step, f"job {job} reaches step {step}")


# Bad input


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--disks", 0), "1 to 64 disks, not 0"),
        (("--disks", -1), "1 to 64 disks, not -1"),
        (("--disks", 65), "1 to 64 disks, not 65"),
        (("--k", 0), "k, the lead that decides an election, must be at least 1, not 0"),
        (("--reliability", 0), "between 0 and 1, both excluded, not 0.0"),
        (("--reliability", 1), "between 0 and 1, both excluded, not 1.0"),
        (("--reliability", "nan"), "between 0 and 1, both excluded, not nan"),
        (("--k", 3, "--limit", 2), "limit must be at least 3, not 2"),
        (("--k", 10**23, "--limit", 10**24), "limit must be at most 100,000 samples of a step"),
        (("--segment", 0), "segment must be at least 1, not 0"),
        (("--style", "loud"), "'loud'"),
        (("--factors", 12, 34), "'towers' has no option --factors"),
        (("--budget-cost", 5), "both prices of a million tokens, --input-price and --output-price"),
        (("--k", 2, "--speculate", "psychic"), "'recall' or a model's address, not 'psychic'"),
        (("--style", "compact", "--k", 2, "--speculate", "ahead"), "choose another draft"),
        (
            ("--k", 2, "--speculate", "leading", "--max-waste", 1),
            "max_waste is a share from 0 to below 1, not 1.0",
        ),
        (("--k", 2, "--speculate", "leading", "--depth", 10**20), "depth must be at most 1,000,000, not"),
        (("--k", 2, "--speculate", "leading", "--depth", 0), "depth must be at least 1, not 0"),
        (("--model", "gpt"), "or the URL of an OpenAI-compatible server, not 'gpt'"),
    ],
)
def test_bad_input_is_answered_in_one_sentence(
    sf: Surefoot, store: Redis, options: tuple[object, ...], said: str
) -> None:
    done = sf("run", "towers", *options, "--json")
    sentence = done.sentence(BAD_INPUT)
    assert said in sentence
    assert done.json == {"error": sentence.removeprefix("surefoot: ")}


def test_a_number_that_is_none_is_refused_by_the_option(sf: Surefoot) -> None:
    done = sf("run", "towers", "--disks", "x")
    assert (done.code, done.out) == (BAD_INPUT, "")
    assert "--disks" in done.err
    assert "integer" in done.err


def test_an_option_of_another_task_is_named_as_it_was_typed(sf: Surefoot) -> None:
    said = sf("run", "columns", "--answers", "move").sentence(BAD_INPUT)
    assert "'columns' has no option --answers" in said


def test_an_unknown_task_is_answered_with_those_that_exist(sf: Surefoot) -> None:
    assert "surefoot, which has towers, columns, sorting" in sf("run", "chess").sentence(BAD_INPUT)


def test_calibration_can_ask_for_more_samples_than_the_limit_allows(
    sf: Surefoot, store: Redis, exact: str
) -> None:
    options = ("--disks", 3, "--style", "compact", "--model", exact, "--states", 30)
    done = sf("run", "towers", *options, "--reliability", 0.9999, "--limit", 1)
    assert "limit must be at least" in done.sentence(BAD_INPUT)


@pytest.mark.parametrize(
    "command", [("resume",), ("show",), ("show", "--step", "0"), ("suspend",), ("cancel",)]
)
def test_a_job_that_does_not_exist_is_answered_with_those_that_do(
    sf: Surefoot, store: Redis, head_of_7: str, command: tuple[str, ...]
) -> None:
    done = sf(*command, "nope", "--json")
    assert "no job 'nope' here; known jobs: " in done.sentence(BAD_INPUT)
    assert "calm-7" in done.json["error"]


def test_a_name_without_the_server_that_knows_it_is_refused(sf: Surefoot) -> None:
    said = sf("resume", "nope", "--model-name", "gpt-9").sentence(BAD_INPUT)
    assert "--model-name 'gpt-9' is a name on a server: give the server's address with --model too" in said


@pytest.mark.parametrize("price", ["--input-price", "--output-price"])
def test_a_cost_takes_both_prices(sf: Surefoot, exact: str, price: str) -> None:
    options = ("--disks", 3, "--style", "compact", "--model", exact, "--states", 30)
    done = sf("plan", "towers", *options, price, 5, "--json")
    assert "a cost takes both prices of a million tokens, --input-price and --output-price" in done.sentence(
        BAD_INPUT
    )
    assert set(done.json) == {"error"}


def test_a_step_that_is_not_decided_is_refused(sf: Surefoot, store: Redis, head_of_7: str) -> None:
    for step in (127, -1):
        said = sf("show", "calm-7", "--step", step).sentence(BAD_INPUT)
        assert f"'calm-7' has decided steps 0 to 126, not {step}" in said


@pytest.mark.parametrize("place", ["missing/moves", "."])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_spent(
    sf: Surefoot, store: Redis, exact: str, tmp_path: Path, place: str
) -> None:
    done = sf("run", *towers(3, exact), "--job", "unspent", "--out", tmp_path / place)
    assert "cannot be written" in done.sentence(BAD_INPUT)
    assert not store.exists(Keys("unspent").meta)


# Servers that are not there, or not what they should be


def test_a_model_server_that_is_not_there_is_named(sf: Surefoot, store: Redis) -> None:
    said = sf("run", *towers(3, "http://127.0.0.1:9/v1")).sentence(FAILED)
    assert "the model server at http://127.0.0.1:9 has not answered" in said
    assert "check its address" in said


def test_an_address_without_the_api_is_told_from_a_server_that_is_not_there(
    sf: Surefoot, store: Redis, exact: str
) -> None:
    wrong = exact.replace("/v1", "/elsewhere")
    assert "there is no OpenAI-compatible API at this address" in sf("run", *towers(3, wrong)).sentence(
        FAILED
    )


def test_an_unknown_model_is_answered_with_those_that_exist(sf: Surefoot, store: Redis, exact: str) -> None:
    said = sf("run", *towers(3, exact), "--model-name", "gpt-9").sentence(FAILED)
    assert "serves no model 'gpt-9'; those that exist: 'towers-double'" in said


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("redis://:hunter2@127.0.0.1:9/0", FAILED, "no Redis answers at 'redis://***@127.0.0.1:9/0'"),
        ("redis://127.0.0.1:9/0?password=hunter2", FAILED, "no Redis answers at"),
        ("unix:///nowhere/redis.sock", FAILED, "start it, or give another address"),
        ("redis://:hunter2@127.0.0.1:port/0", BAD_INPUT, "'redis://***@127.0.0.1:port/0' is not a Redis URL"),
        ("redis://:hun://t@er2@127.0.0.1:9x", BAD_INPUT, "'redis://***@127.0.0.1:9x' is not a Redis URL"),
        ("redis://127.0.0.1:9/0?colour=red", BAD_INPUT, "is not a Redis URL"),
        ("redis://:hunter2@127.0.0.1:9/db", BAD_INPUT, "'redis://***@127.0.0.1:9/db' is not a Redis URL"),
        ("redis://:hunter2@127.0.0.1:9/1/2", BAD_INPUT, "is not a Redis URL"),
        ("redis://127.0.0.1:9/\udcff", BAD_INPUT, r"'redis://127.0.0.1:9/\udcff' is not a Redis URL"),
        ("rediss://:hunter2@127.0.0.1:9/0", FAILED, "(redis:// if it has no TLS)"),
        (":hunter2@localhost", BAD_INPUT, "'***@localhost' is not a Redis URL"),
    ],
)
def test_a_redis_that_cannot_be_reached_is_named_without_its_password(
    sf: Surefoot, url: str, code: int, said: str
) -> None:
    done = sf("jobs", "--redis", url, "--json")
    assert said in done.sentence(code)
    for secret in ("hunter2", "hun:", "er2"):
        assert secret not in done.err + done.out


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("file", "file' is a file, not a folder"),
        ("file/below", "file' is not a folder"),
        ("/dev/full", "'/dev/full' is a device, not a folder"),
        ("/proc/none", "No such file or directory"),
    ],
)
def test_a_state_directory_that_cannot_be_used_is_named(tmp_path: Path, place: str, why: str) -> None:
    (tmp_path / "file").touch()
    said = Surefoot(tmp_path / place)("jobs").sentence(FAILED)
    assert f"{tmp_path / place}' cannot be used (" in said
    assert why in said
    assert "set SUREFOOT_HOME to a folder that can be written to" in said


def test_a_disk_that_takes_no_more_is_named_whatever_an_old_log_says(tmp_path: Path) -> None:
    (tmp_path / "redis.log").write_text("bye bye\n")
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", sys.executable, "-m", "surefoot.cli", "jobs"],
        env={**os.environ, "SUREFOOT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    said = Done(done.returncode, done.stdout, done.stderr).sentence(FAILED)
    assert "nothing can be written there (File too large): make room, or set SUREFOOT_HOME" in said
    assert "bye" not in said


def test_who_looks_something_up_is_told_of_a_redis_that_says_nothing_and_does_not_wait_long(
    sf: Surefoot,
) -> None:
    commands = (
        ("jobs",),
        ("show", "x"),
        ("cancel", "x"),
        ("delete", "x", "--yes"),
        ("prune", "--older-than", "1d"),
    )
    with tempfile.TemporaryDirectory(prefix="sf-") as directory, ExitStack() as stack:
        socket = Path(directory) / "s"
        options = ("--port", "0", "--unixsocket", socket, "--dir", directory)
        client = stack.enter_context(impatient(socket))
        redis = stack.enter_context(
            server([str(part) for part in (local_redis.server_binary(), *options)], client)
        )
        redis.send_signal(signal.SIGSTOP)
        url = f"unix://{socket}"
        for process in [stack.enter_context(sf.begun(*command, "--redis", url)) for command in commands]:
            done = sf.end_of(process)
            assert f"no Redis answers at '{url}': no reply within 10 s" in done.sentence(FAILED)
            assert done.err.startswith(f"asking Redis at '{url}', ")


def test_a_redis_that_wants_a_password_is_said_to(sf: Surefoot) -> None:
    with tempfile.TemporaryDirectory(prefix="sf-") as directory:
        socket = Path(directory) / "s"
        options = ("--port", "0", "--unixsocket", socket, "--dir", directory)
        command = [str(part) for part in (local_redis.server_binary(), *options)]
        with impatient(socket) as client, server(command, client):
            client.config_set("requirepass", "hunter2")
            for url in (f"unix://{socket}", f"unix://:wrong@{socket}"):
                said = sf("jobs", "--redis", url).sentence(FAILED)
                assert "wants another user or password" in said
                assert "wrong@" not in said
            assert sf("jobs", "--redis", f"unix://:hunter2@{socket}").out == "no jobs yet\n"


def test_who_cancels_a_job_does_not_wait_long_for_a_redis_that_cannot_write(sf: Surefoot, exact: str) -> None:
    with tempfile.TemporaryDirectory(prefix="sf-") as directory:
        socket = Path(directory) / "s"
        options = ("--port", "0", "--unixsocket", socket, "--dir", directory)
        command = [str(part) for part in (local_redis.server_binary(), *options)]
        with impatient(socket) as client, server(command, client):
            there = ("--redis", f"unix://{socket}")
            begun = sf("run", *towers(3, exact), "--job", "x", "--max-steps", 2, *there)
            assert begun.out.splitlines()[-1] == f"surefoot resume x --redis unix://{socket}"
            client.execute_command("REPLICAOF", "127.0.0.1", "9")
            done = sf("cancel", "x", *there)
    assert "Redis does not work (" in done.sentence(FAILED)
    assert "ask again, once it works" in done.sentence(FAILED)
    assert "; waiting: Redis does not take commands now (" in done.err


# Journals that cannot be read


def test_a_journal_of_a_newer_schema_is_refused(
    sf: Surefoot, store: Redis, exact: str, head_of_7: str
) -> None:
    store.hset(Keys("calm-7").meta, "schema", "99")
    try:
        for command in ("resume", "show"):
            said = sf(command, "calm-7").sentence(FAILED)
            assert "journal schema 99" in said
            assert "upgrade surefoot" in said
    finally:
        store.hset(Keys("calm-7").meta, "schema", "1")


def test_a_corrupted_record_is_named_not_skipped(
    sf: Surefoot, store: Redis, frozen: FreezingServer, tmp_path: Path
) -> None:
    with sf.begun("run", *towers(7, frozen.url), "--job", "bitten") as process:
        reaches(store, "bitten", 10)
        process.terminate()
        sf.end_of(process)
    frozen.thaw()
    log = Keys("bitten").log(0)
    frame = store.lindex(log, 0)
    assert isinstance(frame, bytes)
    store.lset(log, 0, frame[:-1] + bytes([frame[-1] ^ 1]))
    named = "job 'bitten', segment 0: the record of steps 0 to "
    for command in (("resume",), ("show", "--step", 0), ("show", "--out", tmp_path / "moves")):
        said = sf(*command, "bitten").sentence(FAILED)
        assert named in said
        assert "fails its checksum" in said
    assert not list(tmp_path.glob("moves"))
    store.lset(log, 0, frame)
    assert sf("resume", "bitten").code == 0


# A model that cannot do it


def test_a_model_that_only_writes_garbage_stalls_and_another_one_goes_on(
    sf: Surefoot, store: Redis, exact: str, model_server: Callable[..., ModelServer]
) -> None:
    garbage = model_server("--double", "garbage")
    done = sf("run", *towers(4, garbage.url), "--limit", 20, "--job", "stuck")
    said = done.sentence(FAILED)
    assert "step 0 stalled" in said
    assert "votes: no valid ballot; red flags: malformed: 20" in said
    (row,) = [job for job in sf("jobs", "--json").json if job["job"] == "stuck"]
    assert (row["status"], row["step"]) == ("stalled", 0)
    shown = sf("show", "stuck")
    assert shown.out.splitlines()[-1] == "surefoot resume stuck"
    assert shown.out.count("sample: '~") == 5
    assert "malformed: 20" in shown.out
    assert len(sf("show", "stuck", "--json").json["stall"]["examples"]) == 5
    assert "step 0 stalled" in sf("show", "stuck", "--step", "0").out
    resumed = sf("resume", "stuck", "--model", exact, "--json")
    assert (resumed.code, resumed.json["solved"], resumed.json["stall"]) == (0, True, None)


def test_a_stall_shows_samples_and_names_a_job_without_a_given_name(
    sf: Surefoot, store: Redis, model_server: Callable[..., ModelServer]
) -> None:
    garbage = model_server("--double", "garbage")
    done = sf("run", *towers(4, garbage.url), "--limit", 20)
    said = done.sentence(FAILED)
    hint = re.search(r"; `surefoot show (towers-\S+)` shows the job, `surefoot resume \1` goes on$", said)
    assert hint is not None
    samples = done.out.splitlines()
    assert len(samples) == 5
    assert all(line.startswith("  sample: '~") and line.endswith("'") for line in samples)
    again = sf("resume", hint[1], "--json")
    told = again.json
    assert told.pop("error") == again.sentence(FAILED).removeprefix("surefoot: ")
    assert [text[:1] for text in told.pop("examples")] == ["~"] * 5
    assert told == {"job": hint[1], "tally": {}, "red_flags": {"malformed": 20}}


def test_a_model_that_is_lost_in_the_middle_of_a_job_names_the_job(
    sf: Surefoot, store: Redis, frozen: FreezingServer, model_server: Callable[..., ModelServer]
) -> None:
    with sf.begun("run", *towers(7, frozen.url), "--job", "it's left", "--json") as process:
        reaches(store, "it's left", 5)
        frozen.kill()
        model_server("--without", "completions", port=frozen.port)
        done = sf.end_of(process)
    assert (done.code, set(done.json), done.json["job"]) == (FAILED, {"error", "job"}, "it's left")
    assert done.json["error"].endswith(
        """; `surefoot show 'it'"'"'s left'` shows the job, `surefoot resume 'it'"'"'s left'` goes on"""
    )


def test_a_model_that_cannot_support_the_reliability_is_said_so_by_the_plan(
    sf: Surefoot, store: Redis, model_server: Callable[..., ModelServer]
) -> None:
    sloppy = model_server("--error", "0.7")
    options = ("towers", "--disks", 6, "--style", "compact", "--model", sloppy.url, "--states", 60)
    planned = sf("plan", *options, "--json")
    assert planned.code == FAILED
    assert planned.json["choice"]["k"] is None
    assert "votes promise nothing" in planned.json["choice"]["why"]
    assert "votes promise nothing" in sf("run", *options).sentence(FAILED)


def test_a_task_that_comes_along_is_run_by_its_name_and_shown_by_its_state(
    sf: Surefoot, store: Redis, model_server: Callable[..., ModelServer]
) -> None:
    """A list that is sorted would be of little use if nobody saw it."""
    puzzles = model_server("--double", "puzzles", "--error", "0.1")
    arguments = ("--arg", "stacks=[[1, 3], [2]]", "--arg", "goal=[[1, 2, 3]]")
    done = sf("run", "blocks", *arguments, "--model", puzzles.url, "--k", 4, "--job", "built")
    assert done.code == 0 and "3 of 3" in done.out
    assert sf("show", "built", "--state").out == "[[1,2,3]]\n"
    assert sf("show", "built", "--state", "--json").json == {"job": "built", "state": [[1, 2, 3]]}
    assert "without --step and --out" in sf("show", "built", "--state", "--step", 1).sentence(BAD_INPUT)

    assert "'pairs' cannot be 'x'" in sf("run", "checkers", "--arg", "pairs=x").sentence(BAD_INPUT)
    assert "6 pairs cannot cross with 3 seats" in sf(
        "run", "crossing", "--arg", "pairs=6", "--arg", "seats=3", "--model", puzzles.url
    ).sentence(BAD_INPUT)


def test_a_goal_is_solved_and_its_parts_are_shown(
    sf: Surefoot, store: Redis, model_server: Callable[..., ModelServer]
) -> None:
    goals = model_server("--double", "goals", "--error", "0.2")
    asked = ("goal", "--arg", 'problem="What is 734 * 902?"', "--k", 1, "--model", goals.url)
    assert sf("run", *asked, "--arg", "votes=4", "--job", "product", "--json").json["solved"]
    state = sf("show", "product", "--state", "--json").json["state"]
    assert (state["nodes"], state["done"][-1]["answer"]) == ([], "662068")
    assert json.loads(sf("show", "product", "--state").out) == state
    assert "votes are a lead of 1 to 50, not 0" in sf("run", *asked, "--arg", "votes=0").sentence(BAD_INPUT)


# What the commands print


def test_every_command_speaks_json(sf: Surefoot, store: Redis, exact: str) -> None:
    run = sf("run", *towers(4, exact), "--job", "spoken", "--json")
    assert run.code == 0
    assert set(run.json) >= REPORT
    assert (run.json["job"], run.json["task"], run.json["solved"]) == ("spoken", "towers", True)
    assert (run.json["steps"], run.json["votes"], run.json["k"]) == (15, 30, 2)
    assert sf("resume", "spoken", "--json").json == run.json
    assert sf("show", "spoken", "--json").json == run.json
    step = sf("show", "spoken", "--step", 3, "--json").json
    assert (step["step"], step["votes"]) == (3, 2)
    assert {"answer", "others", "flags", "usage", "samples"} <= set(step)
    (row,) = [job for job in sf("jobs", "--json").json if job["job"] == "spoken"]
    assert (row["task"], row["status"], row["step"]) == ("towers", "done", 15)
    options = ("towers", "--disks", 4, "--style", "compact", "--model", exact)
    planned = sf("plan", *options, "--states", 400, "--json")
    assert {"steps", "reliability", "calibration", "choice", "forecast", "seconds"} <= set(planned.json)
    assert planned.json["steps"] == 15
    store.hset(Keys("spoken").meta, "status", "stopped")
    assert sf("suspend", "spoken", "--json").json == {"job": "spoken", "suspended": True}
    assert store.hget(Keys("spoken").meta, "suspended") is not None
    assert sf("suspend", "spoken", "--off").out.strip() == "job spoken may go on"
    assert store.hget(Keys("spoken").meta, "suspended") is None
    assert sf("cancel", "spoken", "--json").json == {"job": "spoken", "status": "cancelled"}


def test_speculation_changes_nothing_but_the_time_and_is_reported(
    sf: Surefoot, store: Redis, model_server: Callable[..., ModelServer], tmp_path: Path
) -> None:
    wrong = model_server("--error", "0.1", "--invalid", "0.05", "--seed", "6")
    moves = {}
    for draft in ("off", "leading", "short", "recall", wrong.url):
        name = f"ahead-{len(moves)}"
        done = sf(
            "run", *towers(6, wrong.url, k=5), "--speculate", draft, "--job", name, "--out", tmp_path / name, "--json"
        )  # fmt: skip
        assert done.code == 0
        assert (done.json["speculation"] is None) == (draft == "off")
        moves[draft] = (tmp_path / name).read_text()
    assert len(set(moves.values())) == 1
    assert set(sf("show", "ahead-1", "--json").json["speculation"]) == {
        *(
            "asked_ahead",
            "accepted",
            "acceptance",
            "depth",
            "wasted_samples",
            "wasted_tokens",
            "waste",
            "draft_tokens",
            "uncounted",
        )
    }
    shown = " ".join(sf("show", "ahead-1").out.split())
    assert "accepted" in shown
    assert "steps ahead on average" in shown
    assert "the draft's own" not in shown  # the leading ballot costs nothing of its own
    drafted = sf("show", "ahead-4", "--json").json["speculation"]
    assert drafted["draft_tokens"] > 0
    shown = " ".join(sf("show", "ahead-4").out.split())
    assert f"{drafted['wasted_tokens']:,} tokens; the draft's own {drafted['draft_tokens']:,} tokens" in shown


def test_a_resumed_job_may_speculate_whatever_it_began_with(
    sf: Surefoot, store: Redis, frozen: FreezingServer, exact: str, head_of_7: str
) -> None:
    with sf.begun("run", *towers(7, frozen.url), "--job", "sudden") as process:
        reaches(store, "sudden", 10)
        process.kill()
    done = sf("resume", "sudden", "--model", exact, "--speculate", "recall", "--json")
    assert (done.code, done.json["head"]) == (0, head_of_7)
    assert done.json["speculation"]["accepted"] > 0


def test_without_a_terminal_there_is_a_report_and_no_live_display(
    sf: Surefoot, store: Redis, exact: str
) -> None:
    done = sf("run", *towers(3, exact), "--job", "plain")
    assert done.code == 0
    assert all(line.startswith("plain: ") for line in done.err.splitlines())
    assert "\x1b" not in done.out + done.err
    for word in (
        "SOLVED",
        "plain",
        "votes",
        "red flags",
        "contested",
        "tokens",
        "wall time",
        "surefoot show plain --step 6",
    ):
        assert word in done.out


@pytest.mark.parametrize("job", ["[/x]", "[red]a", ":smile:"])
def test_a_job_may_have_a_name_that_is_markup_to_the_terminal(
    sf: Surefoot, store: Redis, exact: str, job: str
) -> None:
    commands: list[tuple[object, ...]] = [("run", *towers(3, exact), "--job", job), ("show", job), ("jobs",)]
    for command in commands:
        done = sf(*command)
        assert (done.code, job in done.out) == (0, True), command
    store.hset(Keys(job).meta, "status", "stopped")
    assert sf("cancel", job).out.strip() == f"job {job} is cancelled"


@pytest.mark.parametrize("disks", [5, 6])
def test_the_move_list_is_the_optimal_sequence_one_move_a_line(
    sf: Surefoot, store: Redis, exact: str, tmp_path: Path, disks: int
) -> None:
    out = tmp_path / "moves"
    job = f"listed-{disks}"
    assert sf("run", *towers(disks, exact), "--job", job, "--out", out).code == 0
    task = Towers(disks)
    optimal = [task.show((optimal_move(disks, step), None)) for step in range(2**disks - 1)]
    assert out.read_text() == "\n".join(optimal) + "\n"
    for command in ("show", "resume"):
        assert sf(command, job, "--out", tmp_path / command).code == 0
        assert (tmp_path / command).read_text() == out.read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"moves", "show", "resume"}


# Interruptions


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_keeps_what_it_decided_and_goes_on(
    sf: Surefoot, store: Redis, frozen: FreezingServer, exact: str, head_of_7: str, number: signal.Signals
) -> None:
    job = f"interrupted-{number.name.lower()}"
    with sf.begun("run", *towers(7, frozen.url), "--job", job, "--json") as process:
        reaches(store, job, 20)
        process.send_signal(number)
        done = sf.end_of(process)
    said = done.sentence(130)
    assert f"interrupted; what was decided is safe; `surefoot resume {job}` goes on" in said
    assert done.json == {"error": said.removeprefix("surefoot: "), "job": job}
    (row,) = [row for row in sf("jobs", "--json").json if row["job"] == job]
    assert (row["status"], row["held_by"]) == ("stopped", None)
    assert 20 <= row["step"] < 127
    resumed = sf("resume", job, "--model", exact, "--json")
    assert (resumed.code, resumed.json["solved"], resumed.json["head"]) == (0, True, head_of_7)
    assert resumed.json["votes"] == 2 * 127


def test_a_run_that_waits_for_redis_can_be_interrupted(
    sf: Surefoot, frozen: FreezingServer, exact: str, head_of_7: str
) -> None:
    with tempfile.TemporaryDirectory(prefix="sf-") as directory:
        socket = Path(directory) / "s"
        options = ("--port", "0", "--unixsocket", socket, "--dir", directory, "--appendonly", "yes")
        command = [str(part) for part in (local_redis.server_binary(), *options)]
        with (
            impatient(socket) as client,
            server(command, client) as redis,
            sf.begun("run", *towers(7, frozen.url), "--redis", f"unix://{socket}", "--job", "cut") as process,
        ):
            reaches(client, "cut", 20)
            redis.kill()
            frozen.thaw()  # without Redis the job cannot end, however fast its model is
            process.terminate()
            done = sf.end_of(process)
        assert done.code == 130
        assert "Redis is gone" in done.err
        assert f"`surefoot resume cut --redis unix://{socket}` goes on" in done.err.splitlines()[-1]
        with impatient(socket) as client, server(command, client):
            resumed = sf("resume", "cut", "--model", exact, "--redis", f"unix://{socket}", "--json")
    assert (resumed.code, resumed.json["head"]) == (0, head_of_7)


def test_a_second_runner_is_refused_and_told_who_holds_the_job(
    sf: Surefoot, store: Redis, frozen: FreezingServer, exact: str, head_of_7: str
) -> None:
    with sf.begun("run", *towers(7, frozen.url), "--job", "held", "--json") as first:
        reaches(store, "held", 5)
        said = sf("resume", "held", "--model", exact).sentence(FAILED)
        assert f"'held' is being run by process {first.pid} on " in said
        frozen.thaw()
        assert sf.end_of(first).json["head"] == head_of_7


def test_cancelling_stops_the_runner(sf: Surefoot, store: Redis, frozen: FreezingServer) -> None:
    with sf.begun("run", *towers(7, frozen.url), "--job", "unwanted") as process:
        reaches(store, "unwanted", 5)
        assert sf("cancel", "unwanted").out.strip() == "job unwanted is cancelled"
        frozen.thaw()
        assert "'unwanted' was cancelled; `surefoot resume unwanted --again`" in sf.end_of(process).sentence(
            FAILED
        )
    for command in (("run", *towers(7, frozen.url), "--job", "unwanted"), ("resume", "unwanted")):
        assert "'unwanted' was cancelled; `surefoot resume unwanted --again`" in sf(*command).sentence(FAILED)
    (row,) = [row for row in sf("jobs", "--json").json if row["job"] == "unwanted"]
    assert row["status"] == "cancelled"


def test_a_run_waits_for_its_model_server_and_says_so(
    sf: Surefoot,
    store: Redis,
    frozen: FreezingServer,
    head_of_7: str,
    model_server: Callable[..., ModelServer],
) -> None:
    with sf.begun("run", *towers(7, frozen.url), "--job", "patient", "--json") as process:
        reaches(store, "patient", 20)
        frozen.kill()
        assert process.stderr is not None
        (line,) = islice((line for line in process.stderr if "; waiting: " in line), 1)
        assert line.startswith("patient: running, step ")
        model_server(port=frozen.port)
        done = sf.end_of(process)
    assert (done.code, done.json["head"]) == (0, head_of_7)


# The embedded Redis


def test_two_runs_share_one_embedded_redis_and_a_killed_one_leaves_only_its_work(
    exact: str, frozen: FreezingServer, head_of_7: str
) -> None:
    with tempfile.TemporaryDirectory(prefix="sf-") as directory:
        own = Surefoot(Path(directory))
        with (
            own.begun("run", *towers(7, frozen.url), "--job", "killed") as killed,
            own.begun("run", *towers(5, exact), "--job", "beside", "--json") as beside,
        ):
            assert own.end_of(beside).json["solved"]
            with Redis.from_url(asyncio.run(local_redis.start_server(own.home))) as client:
                reaches(client, "killed", 20)
            assert len([line for line in processes(own.home) if "valkey-server" in line]) == 1
            killed.kill()
        eventually(lambda: not processes(own.home), "the embedded Redis ends without clients")
        listed = {row["job"]: row for row in own("jobs", "--json").json}
        assert (listed["beside"]["status"], listed["beside"]["step"]) == ("done", 31)
        assert listed["killed"]["status"] == "stopped"
        assert listed["killed"]["step"] >= 20
        assert own("resume", "killed", "--model", exact, "--json").json["head"] == head_of_7
        eventually(lambda: not processes(own.home), "the embedded Redis ends without clients")


def test_a_key_in_the_address_is_neither_kept_nor_shown_and_a_resume_asks_for_it(
    sf: Surefoot, store: Redis, exact: str
) -> None:
    secret = f"{exact}?key=hush-hush-hush"
    begun = sf("run", *towers(4, secret), "--job", "keyed", "--max-steps", 3)
    listed, shown = sf("jobs", "--json"), sf("show", "keyed", "--json")
    refused, done = sf("resume", "keyed"), sf("resume", "keyed", "--model", secret, "--json")
    assert refused.code == 2
    assert "keys are not kept: give its address once more" in " ".join(refused.err.split())
    assert done.code == 0
    assert done.json["models"] == shown.json["models"] == [f"{exact}?key=***"]
    for each in (begun, listed, shown, refused, done):
        assert "hush" not in each.out + each.err

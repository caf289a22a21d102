"""A task of one's own, from a package of its own, on the command line: as a new user would."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from redis import Redis

import surefoot
from surefoot.orchestration.journal.jobs import Job, Keys
from surefoot.orchestration.redis import embedded as local_redis

SERVER = Path(__file__).with_name("own_task_server.py")
PATIENCE_S = 120.0
FIRST = 60
FROZEN_AT = 70
"""Samples after which the model stands still: with k = 2 those of about 30 steps."""

WHEEL = {
    "METADATA": "Metadata-Version: 2.1\nName: counting-house\nVersion: 1.0\n",
    "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "entry_points.txt": "[surefoot.tasks]\ncountdown = counting_house.tasks:Countdown\n",
    "RECORD": "",
}
"""What a built package says of itself, its entry point among it."""
TASKS = """
import surefoot


class Countdown(surefoot.Task[int, int]):
    name = "countdown"

    def __init__(self, first: int, unit: str = "ones") -> None:
        self.first, self.unit = first, unit

    def spec(self):
        return {"first": self.first, "unit": self.unit}

    def start(self):
        return self.first

    def ask(self, state, view=0):
        return f"{state} - 1 ="

    def read(self, text, state, view=0):
        if not text.isdigit():
            raise surefoot.NotAnAnswer("not a number")
        return int(text)

    def advance(self, state, answer):
        return answer

    def finished(self, state):
        return state == 0

    def steps(self):
        return self.first

    def case(self, rng):
        state = rng.randint(1, self.first)
        return surefoot.Case(state, state - 1)

    def show(self, answer):
        return f"then {answer}"


class Broken(Countdown):
    name = "broken"

    def __init__(self, first: int) -> None:
        raise RuntimeError("not today")
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class User:
    """A user with a folder, a shell, and a Python in which surefoot is installed."""

    def __init__(self, home: Path, *paths: Path) -> None:
        self.home = home
        self._environment = {
            **os.environ,
            "SUREFOOT_HOME": str(home),
            "COLUMNS": "200",
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
        }

    def __call__(self, *arguments: object) -> Done:
        with self.begun(*arguments) as process:
            out, err = process.communicate(timeout=PATIENCE_S)
            assert "Traceback" not in err, err
            return Done(process.returncode, out, err)

    @contextmanager
    def begun(self, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        # The installed script, whose search path does not hold the folder where one stands.
        command = [str(Path(sys.executable).with_name("surefoot")), *map(str, arguments)]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment,
            cwd=self.home,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


class Counter:
    """The model server, a process of its own that freezes once."""

    def __init__(self, answers: int) -> None:
        command = [sys.executable, str(SERVER), "--answers", str(answers)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url: str = json.loads(self._process.stdout.readline())["url"]

    def thaw(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    def kill(self) -> None:
        with self._process:
            self._process.kill()


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sf-") as directory:  # a socket's path must be short
        yield Path(directory)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "counting_house").mkdir()
    (folder / "counting_house" / "__init__.py").write_text("")
    (folder / "counting_house" / "tasks.py").write_text(TASKS)
    return folder


@pytest.fixture(scope="module")
def site(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the package is installed."""
    target = tmp_path_factory.mktemp("site")
    wheel = target / "counting_house-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in (project / "counting_house").iterdir():
            archive.write(file, f"counting_house/{file.name}")
        for name, text in WHEEL.items():
            archive.writestr(f"counting_house-1.0.dist-info/{name}", text)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(target), str(wheel)], check=True, timeout=300)
    return target


@pytest.fixture(scope="module")
def stranger(home: Path) -> User:
    """Who has the jobs, and not the package."""
    return User(home)


@pytest.fixture(scope="module")
def author(home: Path, project: Path) -> User:
    """Who has the package's folder on the path."""
    return User(home, project)


@pytest.fixture(scope="module")
def owner(home: Path, site: Path) -> User:
    """Who has it installed."""
    return User(home, site)


@pytest.fixture(scope="module")
def counter() -> Iterator[str]:
    server = Counter(answers=-1)
    yield server.url
    server.kill()


@pytest.fixture
def freezing() -> Iterator[Counter]:
    server = Counter(FROZEN_AT)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def store(home: Path) -> Iterator[Redis]:
    """A client of the embedded Redis, which therefore stays."""
    with Redis.from_url(asyncio.run(local_redis.start_server(home))) as client:
        client.ping()
        yield client


def killed_in_the_middle(process: subprocess.Popen[str], store: Redis, job: str, model: Counter) -> None:
    """Kill a run once its model stands still, and let the model go on."""
    deadline = time.monotonic() + PATIENCE_S
    while int(store.hget(Keys(job).meta, "next") or 0) < 20:  # type: ignore[arg-type]
        assert time.monotonic() < deadline, "the job gets as far as its model"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    model.thaw()


def test_a_job_of_a_task_of_ones_own_survives_a_kill_and_is_shown_with_its_code_and_without(
    author: User, owner: User, stranger: User, counter: str, freezing: Counter, home: Path, store: Redis
) -> None:
    task = ("--task", "counting_house.tasks:Countdown")
    own = (*task, "--arg", f"first={FIRST}", "--k", "2", "--segment", "10", "--seed", "7")
    calm = author("run", *own, "--model", counter, "--job", "calm", "--json")
    assert calm.code == 0, calm
    assert calm.json["spec"] == {"first": FIRST, "unit": "ones"}

    with author.begun("run", *own, "--model", freezing.url, "--job", "mine") as process:
        killed_in_the_middle(process, store, "mine", freezing)

    refused = stranger("resume", "mine")
    assert refused.code == 2
    (sentence,) = refused.err.splitlines()
    assert "'countdown' is not part of surefoot" in sentence
    assert "begun with 'counting_house.tasks:Countdown'" in sentence
    assert "--task" in sentence

    out = home / "answers"
    resumed = author("resume", "mine", *task, "--out", out, "--json")
    assert resumed.code == 0, resumed
    assert (resumed.json["solved"], resumed.json["steps"]) == (True, FIRST)
    assert out.read_text().splitlines() == [f"then {number}" for number in reversed(range(FIRST))]

    for user, words in ((author, "{}"), (owner, "then {}"), (stranger, "{}")):
        shown = user("show", "mine", "--out", out, "--json")
        assert shown.code == 0, shown
        assert shown.json["head"] == resumed.json["head"]
        assert (shown.json["steps_expected"], shown.json["task"]) == (FIRST, "countdown")
        assert out.read_text().splitlines() == [words.format(number) for number in reversed(range(FIRST))]
    shown = author("show", "mine", *task, "--out", out)
    assert "SOLVED" in shown.out
    assert out.read_text().startswith("then 59\n")
    assert stranger("show", "mine", "--step", 3, "--json").json["answer"] == FIRST - 4


def test_an_installed_task_is_known_by_its_name(
    owner: User, counter: str, freezing: Counter, store: Redis
) -> None:
    planned = owner("plan", "countdown", "--arg", "first=40", "--model", counter, "--states", 40, "--json")
    assert planned.code == 0, planned
    assert planned.json["steps"] == 40
    own = ("countdown", "--arg", f"first={FIRST}", "--k", "2", "--segment", "10")
    with owner.begun("run", *own, "--model", freezing.url, "--job", "installed") as process:
        killed_in_the_middle(process, store, "installed", freezing)
    resumed = owner("resume", "installed", "--json")
    assert (resumed.code, resumed.json["steps"]) == (0, FIRST), resumed


def test_a_module_in_the_folder_where_one_stands_is_found(stranger: User, counter: str, home: Path) -> None:
    (home / "standing_here.py").write_text(TASKS)
    try:
        done = stranger(
            *("run", "--task", "standing_here:Countdown", "--arg", "first=3", "--arg", "unit=7"),
            *("--model", counter, "--k", "1", "--json"),
        )
        assert done.code == 0, done
        assert done.json["spec"] == {"first": 3, "unit": "7"}  # a text, as the constructor says
    finally:
        (home / "standing_here.py").unlink()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--task", "counting_house.tasks:Countdown", "--arg", "first=many"), "'first' cannot be 'many'"),
        (("--task", "counting_house.tasks:Broken", "--arg", "first=1"), "RuntimeError: not today"),
        (
            ("--task", "counting_house.tasks:Countdown", "--arg", "first=1", "--disks", "3"),
            "no option --disks",
        ),
        (("towers", "--task", "counting_house.tasks:Countdown"), "a job takes one task"),
    ],
)
def test_what_does_not_lead_to_a_task_is_refused_in_a_sentence(
    author: User, arguments: tuple[str, ...], said: str
) -> None:
    refused = author("run", *arguments)
    assert refused.code == 2, refused
    (sentence,) = refused.err.splitlines()
    assert said in sentence


async def test_a_job_is_reported_and_listed_from_python_without_its_code(
    author: User, counter: str, home: Path, store: Redis
) -> None:
    own = ("--task", "counting_house.tasks:Countdown", "--arg", "first=5", "--model", counter, "--k", "3")
    assert author("run", *own, "--job", "five").code == 0
    url = await local_redis.start_server(home)
    report = await surefoot.report("five", redis=url)
    assert (report.solved, report.steps, report.steps_expected) == (True, 5, 5)
    (five,) = [job for job in await surefoot.jobs(redis=url) if job.id == "five"]
    assert isinstance(five, Job)
    assert (five.task, five.code) == ("countdown", "counting_house.tasks:Countdown")


def test_a_run_stops_in_order_within_its_limits_and_says_so(author: User, counter: str, store: Redis) -> None:
    own = ("--task", "counting_house.tasks:Countdown", "--arg", "first=30", "--model", counter, "--k", "2")
    some = author("run", *own, "--job", "some", "--max-steps", "8", "--json")
    assert (some.code, some.json["status"], some.json["steps"]) == (3, "stopped", 8), some
    more = author(
        *("resume", "some", "--task", "counting_house.tasks:Countdown"),
        *("--budget-cost", "0.00015", "--input-price", "1", "--output-price", "2"),
    )
    assert more.code == 3, more
    assert "NOT SOLVED (stopped)" in more.out
    assert "more than the budget of 0.00015" in more.out
    shown = author("show", "some", "--json").json
    assert 8 < shown["steps"] < 30
    assert "more than the budget of 0.00015" in shown["stopped"]
    hint = author("show", "some").out.splitlines()[-1]
    assert hint == "surefoot resume some --task counting_house.tasks:Countdown"
    rest = author("resume", "some", "--task", "counting_house.tasks:Countdown", "--json")
    assert (rest.code, rest.json["steps"], rest.json["stopped"]) == (0, 30, None), rest


def test_commands_that_a_sentence_names_carry_the_task_that_was_typed(author: User, counter: str) -> None:
    task = ("--task", "counting_house.tasks:Countdown")
    own = (*task, "--arg", f"first={FIRST}", "--k", "2", "--model", counter, "--job", "my job")
    assert author("run", *own, "--max-steps", "1").code == 3
    assert author("cancel", "my job").code == 0
    again = author("run", *own)
    assert again.code == 1, again
    assert "`surefoot resume 'my job' --again --task counting_house.tasks:Countdown`" in again.err

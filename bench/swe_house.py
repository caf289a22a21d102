"""What the SWE-bench bench starts and ends: the set, a server double, a Redis, and `surefoot swe run`, which may be killed on the way."""

import json
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis
from runners import command, die_with_parent
from servers import flags
from swe_set import prepare

from surefoot.models.doubles.issue_workers import NOTES
from surefoot.orchestration.journal.jobs import Keys

LOOK_EVERY_S = 0.05
MOST_AFTER_S = 0.5
MOST_RUNNERS = 200


@dataclass(frozen=True)
class Place:
    """Where a bench does its work."""

    folder: Path
    env: str
    python: str
    redis: str

    @property
    def readable(self) -> list[str]:
        """Options that let commands in bubblewrap use the Python that runs the tests, which may lie anywhere."""
        if self.env != "bubblewrap":
            return []
        asked = "import json, sys; print(json.dumps([sys.prefix, sys.base_prefix, *sys.path]))"
        found = json.loads(subprocess.run([self.python, "-c", asked], check=True, capture_output=True).stdout)
        folders = {str(Path(path).resolve()) for path in found if path and Path(path).is_dir()}
        here = str(Path(__file__).resolve().parents[1])
        wanted = sorted(path for path in folders if path != here and not path.startswith("/usr/"))
        return [part for path in wanted for part in ("--readable", path)]


@dataclass(frozen=True)
class Strike:
    """When the runner is to be killed."""

    step: int
    """So many steps of all attempts together are durable, and ..."""
    after_s: float
    """... so many seconds have passed since that was seen."""


@dataclass(frozen=True)
class Kill:
    """When the runner was killed."""

    lived_s: float
    over: int
    """Instances that were over."""
    steps: int
    """Of all jobs, durable."""


@dataclass
class Outcome:
    """A run at its end."""

    out: Path
    results: dict[str, dict[str, Any]]
    predictions: dict[str, str]
    heads: dict[str, str]
    """The hash of each job's journal, by instance."""
    seconds: float
    kills: list[Kill] = field(default_factory=list)
    in_flight: list[int] = field(default_factory=list)
    """Requests at the server, looked at at even distances while the queue of instances was not empty."""

    @property
    def resolved(self) -> int:
        """Instances whose tests pass."""
        return sum(result["resolved"] is True for result in self.results.values())

    @property
    def graders(self) -> str:
        """Who graded."""
        return ", ".join(sorted({result["grader"] for result in self.results.values() if result["grader"]}))

    def counted(self, name: str) -> int:
        """Return a count of all chosen attempts together."""
        return sum(result["chosen"][name] for result in self.results.values())

    @property
    def steps(self) -> int:
        """Steps of all jobs: a turn's decision is one, and each call."""
        return self.counted("turns") + self.counted("calls")

    @property
    def made_again(self) -> int:
        """Calls that were made again in workspaces made anew."""
        return sum(sum(result["chosen"]["replayed"].values()) for result in self.results.values())


def base_of(instance_id: str) -> str:
    """Return the repository's part of an id: its copies have other numbers."""
    return instance_id.rpartition("-")[0]


def the_set(folder: Path, python: str, count: int | None = None, *, tests: bool = True) -> Path:
    """Make the set and return its file; with a `count` its rows are repeated under other ids until they are so many.

    Without `tests` the double runs none on its way.
    """
    if not (folder / "instances.jsonl").exists():
        prepare(folder, python)
    rows = [json.loads(line) for line in (folder / "instances.jsonl").read_text().splitlines()]
    count = len(rows) if count is None else count
    made = []
    for number in range(count):
        row = rows[number % len(rows)]
        name = f"{base_of(row['instance_id'])}-{number // len(rows) + 1}"
        made.append({**row, "instance_id": name} | ({} if tests else {"test_command": ""}))
    file = folder / f"{count}{'' if tests else '-untested'}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in made))
    return file


@contextmanager
def double(instances: Path, conduct: str = "fixes", latency: float = 0.0) -> Iterator[str]:
    """Serve a double for as long as the block lasts, and yield its URL."""
    options = flags({"double": "issues", "conduct": conduct, "instances": instances, "latency": latency})
    module = [sys.executable, "-m", "surefoot.models.doubles.server", *options]
    server = subprocess.Popen(module, stdout=subprocess.PIPE, preexec_fn=die_with_parent)
    try:
        assert server.stdout is not None
        yield json.loads(server.stdout.readline())["url"]
    finally:
        server.terminate()
        server.wait()


class Runner:
    """`surefoot swe run`, and after each kill `surefoot swe resume`."""

    def __init__(
        self,
        place: Place,
        instances: Path,
        url: str,
        name: str,
        options: Mapping[str, object],
        *,
        watch: bool = False,
    ) -> None:
        self.out = place.folder / name
        self._url, self._watch = url, watch
        self._workers = flags({"workers": options.get("workers", 8), "redis": place.redis})
        settings = flags({key: value for key, value in options.items() if key != "workers" and value != ""})
        bare = [f"--{key}" for key, value in options.items() if value == ""]
        given = {"instances": instances, "repos": place.folder / "set/repos", "model": url, "out": self.out}
        self._run = command(
            "swe", "run", *flags({**given, "env": place.env}), *settings, *bare, *place.readable
        )
        self._redis: Redis = Redis.from_url(place.redis)
        self._ids = [json.loads(line)["instance_id"] for line in instances.read_text().splitlines()]
        self.in_flight: list[int] = []

    def play(self, kills: Sequence[Strike] = ()) -> Outcome:
        """Run to the end, and kill a runner at each of these moments."""
        began = time.monotonic()
        due = list(kills)
        struck: list[Kill] = []
        for _ in range(MOST_RUNNERS):
            kill = self._live(due.pop(0) if due else None, struck[-1].steps if struck else 0)
            if kill is None:
                return self._outcome(time.monotonic() - began, struck)
            struck.append(kill)
        raise SystemExit(f"{MOST_RUNNERS} runners did not bring {self.out} to its end")

    def _live(self, strike: Strike | None, had: int) -> Kill | None:
        """Let a runner live, and return how it was killed, if it was; it takes at least one step more than there were."""
        resumed = (self.out / "run.json").exists()
        again = command("swe", "resume", self.out, "--model", self._url)
        log = self.out.with_suffix(".log")
        with log.open("ab") as errors, self.out.with_suffix(".json").open("wb") as printed:
            began, reached = time.monotonic(), None
            arguments = [*(again if resumed else self._run), *self._workers, "--json"]
            runner = subprocess.Popen(arguments, stdout=printed, stderr=errors, preexec_fn=die_with_parent)
            while runner.poll() is None:
                now = time.monotonic()
                if strike is not None and reached is None and self.steps >= max(strike.step, had + 1):
                    reached = now
                if strike is not None and reached is not None and now >= reached + strike.after_s:
                    runner.kill()
                    runner.wait()
                    return Kill(now - began, self.over, self.steps)
                self._look()
                time.sleep(LOOK_EVERY_S)
        if runner.returncode not in (0, 4):
            raise SystemExit(f"the runner ended with {runner.returncode}; see {log}")
        return None

    def _look(self) -> None:
        """See how many requests are at the server, while instances wait for a worker."""
        begun = self.out / "instances"
        if self._watch and begun.is_dir() and len(list(begun.iterdir())) < len(self._ids):
            with urllib.request.urlopen(self._url.replace("/v1", "/stats"), timeout=30) as answer:
                self.in_flight.append(json.load(answer)["in_flight"])

    @property
    def over(self) -> int:
        """Instances that have a result."""
        return sum((self.out / "instances" / name / "result.json").exists() for name in self._ids)

    @property
    def steps(self) -> int:
        """Durable steps of all attempts."""
        pipe = self._redis.pipeline(transaction=False)
        for job in self._jobs():
            pipe.hget(Keys(job).meta, "next")
        return sum(int(found or 0) for found in pipe.execute())

    def _jobs(self) -> list[str]:
        if not (self.out / "run.json").exists():
            return []
        run = json.loads((self.out / "run.json").read_text())["run"]
        return [f"swe-{run}-{name}-1" for name in self._ids]

    def _outcome(self, seconds: float, kills: list[Kill]) -> Outcome:
        report = json.loads(self.out.with_suffix(".json").read_text())
        predictions = json.loads((self.out / "preds.json").read_text())
        heads = {
            name: str(self._redis.hget(Keys(job).meta, "head"))
            for name, job in zip(self._ids, self._jobs(), strict=True)
        }
        return Outcome(
            self.out,
            {result["instance_id"]: result for result in report["results"]},
            {name: made["model_patch"] for name, made in predictions.items()},
            heads,
            seconds,
            kills,
            self.in_flight,
        )


def faults(outcome: Outcome, instances: Path) -> list[str]:
    """Say, a sentence each, what is not as it has to be: each instance over once, each command in its patch once and in order."""
    ids = [json.loads(line)["instance_id"] for line in instances.read_text().splitlines()]
    found = []
    if sorted(outcome.results) != sorted(ids):
        found.append(f"{len(outcome.results)} instances of {len(ids)} have a result")
    if sorted(outcome.predictions) != sorted(ids):
        found.append(f"{len(outcome.predictions)} instances of {len(ids)} have a prediction")
    for name, result in outcome.results.items():
        noted = notes(result["chosen"]["patch"])
        if noted != sorted(set(noted)) or not noted:
            found.append(f"{name}: the patch notes {noted}")
        attempts = [path.name for path in (outcome.out / "instances" / name).glob("attempt-*")]
        if attempts != ["attempt-1"] or result["attempts"] != 1:
            found.append(f"{name}: attempts {attempts}")
    return found


def beside(outcome: Outcome, quiet: Outcome) -> list[str]:
    """Say, a sentence each, what differs from an undisturbed run of the same repositories."""
    found = []
    whole = {base_of(name): name for name in quiet.results}
    for name in outcome.results:
        other = whole[base_of(name)]
        if outcome.predictions.get(name) != quiet.predictions[other]:
            found.append(f"{name}: another prediction")
        if outcome.heads[name] != quiet.heads[other]:
            found.append(f"{name}: another hash of the journal")
    return found


def notes(patch: str) -> list[int]:
    """Return the turns whose shell commands left a line in the patch, as they stand there."""
    part = patch.partition(f"+++ b/{NOTES}\n")[2].partition("\ndiff --git ")[0]
    return [int(line.removeprefix("+turn ")) for line in part.split("\n") if line.startswith("+turn ")]


def moments(rng: random.Random, kills: int, steps: int) -> list[Strike]:
    """Draw moments of kills, evenly over the steps of a run, each a little after a step has become durable."""
    drawn = sorted(rng.randrange(1, steps) for _ in range(kills))
    return [Strike(step, rng.uniform(0, MOST_AFTER_S)) for step in drawn]

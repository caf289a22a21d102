"""What votes gain in decomposed SWE-bench runs, on a model whose samples are wrong with a known chance.

python bench/swe_decomposed.py --rounds 2 --results bench/results

The 17 repositories of bench/swe, and a double that knows their fixes.  A wrong sample is another file, a test that does not show the issue, or one of up to
eight different wrong patches: a hunk or a line left out, a condition turned round, a number changed.  That each is wrong was found out with the hidden
tests.  Beside the votes stands a single sample: one patch, asked for with the right places, applied as it is.  What a test or a patch does is found out once, in a
real workspace; runs look it up, and some are made in real workspaces besides, to be compared.
"""

import asyncio
import json
import tempfile
from argparse import Namespace
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import swe_known
import swe_set
from pages import options, origin, table, write
from redis.asyncio import Redis
from servers import redis_server

import surefoot
from surefoot import Settings, Typed
from surefoot.agents.swe import (
    Instance,
    find_repository,
    grade,
    prepare_for_tests,
    prepare_workspace,
    read_instances,
    run_tests,
)
from surefoot.agents.swe.decomposed import DecomposedState, DecomposedTask
from surefoot.agents.swe.decomposed.reading import THE_TEST, read_edits
from surefoot.agents.swe.decomposed.sources import shown
from surefoot.agents.swe.decomposed.state import (
    Baseline,
    ChangedTests,
    Edit,
    Edits,
    Opened,
    PatchTried,
    ShownSource,
    StageAnswer,
    Surveyed,
    TestTried,
    WrittenTest,
)
from surefoot.agents.tasks.guarded import guarded
from surefoot.agents.tasks.optional import Attempt
from surefoot.models.base import Ask
from surefoot.models.doubles import Repair, Repairer
from surefoot.orchestration.engine.open_step import StepStalled, seed_of
from surefoot.orchestration.journal.jobs import load
from surefoot.orchestration.reporting import read_report, state_reached
from surefoot.tools.environments import Local, Nowhere

PAGE = "swe_decomposed.md"
SETTINGS = Settings(k=1, segment=100)
COLUMNS = (
    "votes", "runs", "resolved", "submitted, and wrong", "not submitted", "tests tried", "patches tried", "samples of a model",
)  # fmt: skip
NOT_OVER = "localisation stalled"
PAGE_TEXT = """\
# Decomposed SWE-bench runs: what votes gain

{origin}

{repositories} repositories; every sample of the double, at every stage, is wrong with chance {error:g}, and a wrong patch is one of {fewest} to {most} different ones. A run may
try {candidates} tests and {candidates} patches; means are by run. {plausible} wrong patches pass a right reproducing test and all tests of the repository: the hidden tests alone tell.

{table}

A single sample is one patch, asked for with the right places shown, and applied as it is: it has no localisation to get wrong, and submits whatever it is.
With one vote a run takes the first of everything that passes its check: the first places, the first test that fails, the first patch that makes it pass. A run that is
undecided says so and leaves the workspace as it was; it can be tried again, which a wrong patch that was submitted cannot.
More votes want more candidates: where these run out, a run is undecided.

What each test and each patch does was found out once, by the acts of a run in a real workspace; the runs of the table look it up. {real} runs were made in real workspaces
besides, step by step the same, and graded with the hidden tests, with the same result.
"""


class Table(NamedTuple):
    """What the world answers about an instance, each found out by an act of its own in a real workspace."""

    surveyed: Surveyed
    baseline: Baseline
    tests: dict[str, TestTried]
    """By the test's text."""
    patches: dict[tuple[Edit, ...], PatchTried]
    """With all tests as the reproducing ones, which are numbered in their order."""


class Case(NamedTuple):
    """An instance, its clone, what the double knows of it, and what the world answers."""

    instance: Instance
    clone: Path
    repair: Repair
    table: Table


class Run(NamedTuple):
    """What came of one run."""

    ended: str
    stage: str
    resolved: bool
    tests: int
    patches: int
    samples: int


class Tabled(DecomposedTask):
    """A decomposed run whose world is the table: tests that were run once are not run again."""

    known_case: Case

    async def act(self, state: DecomposedState, attempt: Attempt) -> StageAnswer:
        """Answer from the table; files are read where they are."""
        table = self.known_case.table
        match state.stage, state.candidate:
            case "survey", _:
                return table.surveyed
            case "baseline", _:
                return table.baseline
            case "try_test", WrittenTest(text):
                return table.tests[bare(text)]
            case "try_patch", Edits(edits):
                return self._patch(state, edits)
            case "verify", _ if state.winner:
                return self._patch(state, state.winner.edits)
        return self._opened(state)

    def _patch(self, state: DecomposedState, edits: tuple[Edit, ...]) -> PatchTried:
        found = self.known_case.table.patches[edits]
        if found.change is None:
            return found
        numbers = {text: f"{THE_TEST} {number}" for number, text in enumerate(self.known_case.table.tests, 1)}
        passing = [numbers[bare(text)] in found.change.fixed for text in state.reproducing]
        fixed = tuple(f"{THE_TEST} {number}" for number, passes in enumerate(passing, 1) if passes)
        return PatchTried(ChangedTests(fixed) if fixed else None, found.size)

    def _opened(self, state: DecomposedState) -> Opened:
        """Show the files; those of the set are short, so that each is shown whole."""
        before = swe_set.SET / self.known_case.instance.repo.rpartition("/")[2] / "before"
        texts = {
            path: (before / path).read_text() if (before / path).is_file() else None for path in state.files
        }
        return Opened(
            tuple(
                ShownSource(path, "", there=False) if text is None else shown(path, text, "", len(text))
                for path, text in texts.items()
            )
        )


def bare(text: str) -> str:
    """Return a test of the double without the comment that makes each of its texts another one."""
    return text.rpartition("# ")[0]


@asynccontextmanager
async def opened(clone: Path, commit: str, folder: Path) -> AsyncIterator[Local]:
    """Yield a workspace at the base commit."""
    await prepare_workspace(clone, commit, folder)
    world = Local(folder, trusted=True)
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


T = TypeVar("T")


async def acted(task: DecomposedTask, state: DecomposedState, kind: type[T]) -> T:
    """Return what the world answers at a state."""
    answer = await task.act(state, Attempt(0))
    if not isinstance(answer, kind):
        raise SystemExit(f"{state.stage}: {answer!r}")
    return answer


async def table_of(instance: Instance, clone: Path, repair: Repair, room: Path) -> Table:
    """Let the world answer about every test and patch that the double may write."""
    async with opened(clone, instance.base_commit, room) as world:
        task = DecomposedTask(instance, world=world, votes=1, test_command=swe_known.COMMAND)
        surveyed = await acted(task, task.start(), Surveyed)
        state = DecomposedState(stage="baseline", surveyed=surveyed)
        baseline = await acted(task, state, Baseline)
        state = replace(state, baseline=baseline, stage="try_test")
        texts = dict.fromkeys((*repair.tests, *repair.wrong_tests))
        tests = {
            text: await acted(task, replace(state, candidate=WrittenTest(text)), TestTried) for text in texts
        }
        state = replace(state, reproducing=tuple(texts), stage="try_patch")
        patches = {}
        for patch in (repair.patch, *repair.wrong_patches):
            edits = read_edits(patch)
            patches[edits.edits] = await acted(task, replace(state, candidate=edits), PatchTried)
    return Table(surveyed, baseline, tests, patches)


@dataclass
class Bench:
    """What all runs have in common."""

    room: Path
    redis: str
    error: float
    candidates: int

    async def run(self, case: Case, votes: int, number: int) -> Run:
        """Do one run to its end."""
        task = Tabled(case.instance, world=Nowhere(), votes=votes, candidates=self.candidates)
        task.known_case = case
        state, samples = await self.ended(task, case, f"{case.instance.instance_id}-{votes}-{number}", number)
        right = read_edits(case.repair.patch).edits
        resolved = state.ended == "submitted" and state.winner is not None and state.winner.edits == right
        return Run(
            state.ended or NOT_OVER, state.stage, resolved, len(state.tests), len(state.patches), samples
        )

    async def really(self, case: Case, votes: int, number: int) -> bool:
        """Do one run in a real workspace; say whether it goes step by step as from the table, and resolves as that says."""
        name = f"{case.instance.instance_id}-{votes}-{number}"
        tabled = Tabled(case.instance, world=Nowhere(), votes=votes, candidates=self.candidates)
        tabled.known_case = case
        expected, _ = await self.ended(tabled, case, f"{name}-tabled", number)
        async with opened(case.clone, case.instance.base_commit, self.room / name) as world:
            task = DecomposedTask(
                case.instance,
                world=world,
                votes=votes,
                candidates=self.candidates,
                test_command=swe_known.COMMAND,
            )
            state, _ = await self.ended(task, case, f"{name}-real", number)
            resolved = await self._resolved(case, await world.diff(), name)
        told = expected.winner is not None and expected.winner.edits == read_edits(case.repair.patch).edits
        return without_whys(state) == without_whys(expected) and resolved == (
            told and expected.ended == "submitted"
        )

    async def ended(
        self, task: DecomposedTask, case: Case, job: str, number: int
    ) -> tuple[DecomposedState, int]:
        """Run a task to its end, and return the state that it reached and the samples that it took."""
        model = Repairer([case.repair], error=self.error, seed=number)
        with suppress(StepStalled):
            await surefoot.run(task, SETTINGS, model=model, redis=self.redis, job=job)
        async with Redis.from_url(self.redis) as client:
            state: DecomposedState = await state_reached(client, await load(client, job), guarded(task))
            return state, (await read_report(client, job, guarded(task))).samples

    async def _resolved(self, case: Case, patch: bytes, name: str) -> bool:
        if not patch:
            return False
        folder = self.room / f"{name}-graded"
        await prepare_for_tests(case.instance, patch.decode(), case.clone, folder)
        world = Local(folder, trusted=True)
        await world.start()
        try:
            return grade(case.instance, await run_tests(case.instance, world), grader="surefoot").resolved
        finally:
            await world.stop()


def without_whys(state: DecomposedState) -> DecomposedState:
    """Return a state without the sentences that say why something was no ballot."""
    return replace(
        state,
        result="",
        tests=tuple(replace(test, why="") for test in state.tests),
        patches=tuple(replace(patch, why="", size=0) for patch in state.patches),
        winner=state.winner and replace(state.winner, size=0),
    )


def single(case: Case, error: float, number: int) -> Run:
    """Ask for one patch, with the right places shown; whether it is right is known."""
    before = swe_set.SET / case.instance.repo.rpartition("/")[2] / "before"
    paths = dict.fromkeys(each.partition("::")[0] for each in case.repair.places)
    shown_to_it = "".join((before / path).read_text() for path in paths if (before / path).is_file())
    ask = Ask(f"{case.instance.problem_statement}\n{shown_to_it}", 0.7, 4096, seed_of(0, 0, number))
    sample = Repairer([case.repair], error=error, seed=number).draw(ask)
    right = read_edits(sample.text) == read_edits(case.repair.patch)
    return Run("submitted", "patch", right, 0, 1, 1)


def cases(room: Path, kept: Path | None, number: int) -> list[Case]:
    """Make the first of the set, what the double knows of them, and what the world answers: some minutes of tests, unless `kept` has it."""
    rows = read_instances(swe_set.prepare(room / "set"))[:number]
    held: dict[str, str] = json.loads(kept.read_text()) if kept and kept.exists() else {}
    found = []
    for row in rows:
        name = row.repo.rpartition("/")[2]
        clone = find_repository(room / "set" / "repos", row.repo)
        if name not in held:
            repair = swe_known.repair_of(row, swe_set.SET / name, room / "known" / name)
            made = asyncio.run(table_of(row, clone, repair, room / "tables" / name))
            held[name] = HELD.encode(
                Held(repair, made.surveyed, made.baseline, (*made.tests.items(),), (*made.patches.items(),))
            )
            print(
                f"{name}: {len(repair.wrong_tests)} wrong tests, {len(repair.wrong_patches)} wrong patches",
                flush=True,
            )
            if kept:
                kept.write_text(json.dumps(held))
        read = HELD.decode(held[name])
        answers = Table(read.surveyed, read.baseline, dict(read.tests), dict(read.patches))
        found.append(Case(row, clone, read.repair, answers))
    return found


class Held(NamedTuple):
    """What is known of an instance, as it is written down."""

    repair: Repair
    surveyed: Surveyed
    baseline: Baseline
    tests: tuple[tuple[str, TestTried], ...]
    patches: tuple[tuple[tuple[Edit, ...], PatchTried], ...]


HELD: Typed[Held] = Typed(Held)


def row(label: str, runs: Sequence[Run]) -> list[str]:
    """Return what stands in the table for runs of one kind."""
    resolved, submitted = sum(run.resolved for run in runs), sum(run.ended == "submitted" for run in runs)
    ends = Counter(
        f"{run.ended} ({run.stage})" if run.ended == "undecided" else run.ended
        for run in runs
        if run.ended != "submitted"
    )
    means = [sum(getattr(run, name) for run in runs) / len(runs) for name in ("tests", "patches", "samples")]
    return [
        label,
        str(len(runs)),
        f"{resolved / len(runs):.0%}",
        str(submitted - resolved),
        ", ".join(f"{count} {end}" for end, count in sorted(ends.items())) or "0",
        *(f"{mean:.1f}" for mean in means),
    ]


async def measure(room: Path, known: Sequence[Case], given: Namespace) -> list[list[str]]:
    """Do all runs, and return the rows of the table."""
    singles = [single(case, given.error, number) for number in range(given.rounds) for case in known]
    rows = [row("a single sample", singles)]
    with redis_server() as redis:
        bench = Bench(room, redis, given.error, given.candidates)
        for votes in (1, 2, 3):
            runs = [await bench.run(case, votes, number) for number in range(given.rounds) for case in known]
            rows.append(row(str(votes), runs))
            print(" | ".join(rows[-1]), flush=True)
        for number in range(given.real):
            case, votes = known[number % len(known)], number % 3 + 1
            if not await bench.really(case, votes, number):
                raise SystemExit(
                    f"{case.instance.instance_id}, {votes} votes, seed {number}: the real run is another one"
                )
            print(f"real run {number + 1} of {given.real}: as the table says", flush=True)
    return rows


def main() -> None:
    """Measure, and write the page."""
    parser = options(__doc__, PAGE)
    parser.add_argument(
        "--rounds", type=int, default=20, help="runs of each repository, with other samples each"
    )
    parser.add_argument(
        "--real", type=int, default=17, help="runs in real workspaces, compared with those from the table"
    )
    parser.add_argument("--error", type=float, default=0.3, help="chance that a sample is wrong")
    parser.add_argument("--candidates", type=int, default=12, help="tests, and patches, that a run may try")
    parser.add_argument("--repositories", type=int, default=17, help="how many of the set")
    parser.add_argument(
        "--known", type=Path, help="file that keeps what was found out from one call to the next"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sf-bench-") as folder:
        known = cases(Path(folder), given.known, given.repositories)
        rows = asyncio.run(measure(Path(folder) / "real", known, given))
    wrong = [len(case.repair.wrong_patches) for case in known]
    page = PAGE_TEXT.format(
        origin=origin("swe_decomposed", given.results).replace(f" --known {given.known}", ""),
        error=given.error,
        candidates=given.candidates,
        repositories=len(known),
        real=given.real,
        fewest=min(wrong),
        most=max(wrong),
        plausible=plausible(known),
        table=table(COLUMNS, rows),
    )
    write(given.results, PAGE, page)


def plausible(known: Sequence[Case]) -> str:
    """Say how many of the wrong patches pass a right test and break none: only another vote can keep them out."""
    passing = total = 0
    for case in known:
        right = read_edits(case.repair.patch).edits
        rights = {f"{THE_TEST} {number}" for number in range(1, len(case.repair.tests) + 1)}
        for edits, tried in case.table.patches.items():
            total += edits != right
            passing += edits != right and tried.change is not None and bool(rights & set(tried.change.fixed))
    return f"{passing} of {total}"


if __name__ == "__main__":
    main()

"""What choosing among attempts gains and costs, on a double whose score tells of its success by known chances.

python bench/swe_selection.py --attempts 5 --results bench/results

Every attempt at one of the repositories of bench/swe is a run of its own, by a double that looks, makes a patch, and submits.  Whether it looks at what
came of the patch before it submits is drawn; where it does not, which `surefoot score` calls premature disengagement, its patch is less likely to be right.
A wrong patch is as often longer than the right one as it is shorter, and breaks no test that is there.  The first n attempts are chosen from as a fleet chooses, here by the lowest score;
beside that stand a choice at random, and an oracle that knows which are right (pass@n).
"""

import asyncio
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import swe_set
from pages import options, origin, table, write
from servers import redis_server

from surefoot.agents.swe import Instance, find_repository, read_instances
from surefoot.models.doubles import Scripted
from surefoot.models.doubles.fixes import bash, paths_of, writing_turns
from surefoot.models.offers import Call, write_calls
from surefoot.orchestration.redis import open_redis
from surefoot.orchestration.swe import Result, SweSettings
from surefoot.orchestration.swe.attempt import InstanceAttempt
from surefoot.orchestration.swe.tests_run import graded

PAGE = "swe_selection.md"
CHANCES = {"checks": 0.8, "hands in unchecked": 0.3}
"""That a patch is right, by the conduct of the attempt."""
HEADER = 300
"""Characters of a patch of one line, about, that are not of that line."""
COLUMNS = (
    "attempts",
    "lowest score",
    "at random",
    "pass@n",
    "turns of all attempts, mean",
    "tokens of all attempts, mean",
)
PAGE_TEXT = """\
# Choosing among attempts

{origin}

{instances} repositories, {attempts} attempts each, all made and graded by themselves. A double checks what came of its patch, or hands it in unchecked, drawn alike; the
patch is right with chance {chances}. Shares of repositories whose chosen attempt is resolved; "at random" is the mean over the attempts, "pass@n" knows the answer.

{table}

The score of an attempt: {scores}.
What this does not show is that a real model's score tells of its success as this double's does: that relation was put in.
"""


class Made(NamedTuple):
    """An attempt, made and graded."""

    conduct: str
    result: Result
    resolved: bool


def double(instance: Instance, conduct: str, right: bool, length: float) -> Scripted:
    """Return a double that makes a right or a wrong patch, and checks it or does not; a wrong one is `length` times as long as the right one."""
    turns = [write_calls("I look.", [Call("search", '{"pattern": "def ", "literal": true}')])]
    if right:
        turns += [write_calls("This is to be changed.", calls) for calls in writing_turns(instance.patch, 1)]
    else:
        where = [*paths_of(instance.patch), "notes.txt"][0]  # some fixes only make new files
        note = "x" * max(1, int(len(instance.patch) * length) - HEADER)
        command = f"echo '# {note}' >> {where}"
        turns.append(write_calls("This is to be changed.", [bash(command)]))
    if conduct == "checks":
        turns.append(write_calls("What has changed?", [bash("git diff --stat")]))
    return Scripted([*turns, write_calls("", [Call("submit", '{"text": "done"}')])])


async def attempts(room: Path, given_attempts: int, number: int) -> list[list[Made]]:
    """Make all attempts at the first repositories of the set."""
    rows = read_instances(swe_set.prepare(room / "set", sys.executable))[:number]
    settings = SweSettings(
        instances=room / "set" / "instances.jsonl",
        repos=room / "set" / "repos",
        model="double",
        environment="local",
        attempts=given_attempts,
    )
    rng = random.Random(0)
    with redis_server() as url:
        async with open_redis(url) as redis:
            found = []
            for row in rows:
                made = []
                for place in range(1, given_attempts + 1):
                    conduct = rng.choice(list(CHANCES))
                    right = rng.random() < CHANCES[conduct]
                    repository = find_repository(room / "set" / "repos", row.repo)
                    attempt = InstanceAttempt(
                        instance=row,
                        number=place,
                        folder=room / "run" / row.instance_id / str(place),
                        settings=settings,
                        repository=repository,
                        redis=redis,
                        model=double(row, conduct, right, rng.uniform(0.5, 1.5)),
                        listen=lambda event: None,
                    )
                    result = await attempt.made()
                    grade = await graded(row, result.patch, repository, settings, room / "tests")
                    assert grade.resolved is right, (row.instance_id, place, result.why)
                    made.append(Made(conduct, result, grade.resolved))
                found.append(made)
                print(
                    f"{row.instance_id}: {sum(each.resolved for each in made)} of {len(made)} right",
                    flush=True,
                )
    return found


def line(found: Sequence[Sequence[Made]], n: int) -> list[str]:
    """Return what n attempts come to."""
    first = [made[:n] for made in found]
    lowest = [min(made, key=lambda each: each.result.rank).resolved for made in first]
    at_random = [sum(each.resolved for each in made) / n for made in first]
    passed = [any(each.resolved for each in made) for made in first]
    turns = [sum(each.result.turns for each in made) for made in first]
    tokens = [sum((each.result.tokens and each.result.tokens.total) or 0 for each in made) for made in first]
    shares = (sum(kind) / len(first) for kind in (lowest, at_random, passed))
    return [
        str(n),
        *(f"{share:.0%}" for share in shares),
        f"{sum(turns) / len(first):.1f}",
        f"{sum(tokens) / len(first):,.0f}",
    ]


def scores(found: Sequence[Sequence[Made]]) -> str:
    """Say what scores the conducts come to."""
    by: dict[str, list[float]] = {}
    for made in found:
        for each in made:
            by.setdefault(each.conduct, []).append(each.result.score or 0.0)
    return ", ".join(
        f"{min(own):.1f} to {max(own):.1f} where it {conduct}" for conduct, own in sorted(by.items())
    )


def main() -> None:
    """Make the attempts, and write the page."""
    parser = options(__doc__, PAGE)
    parser.add_argument("--attempts", type=int, default=5, help="at each repository")
    parser.add_argument("--repositories", type=int, default=17, help="how many of the set")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sf-bench-") as folder:
        found = asyncio.run(attempts(Path(folder), given.attempts, given.repositories))
    page = PAGE_TEXT.format(
        origin=origin("swe_selection", given.results),
        instances=len(found),
        attempts=given.attempts,
        chances=" and ".join(f"{chance}" for chance in CHANCES.values()),
        table=table(COLUMNS, [line(found, n) for n in range(1, given.attempts + 1)]),
        scores=scores(found),
    )
    print(page)
    write(given.results, PAGE, page)


if __name__ == "__main__":
    main()

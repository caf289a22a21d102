"""SWE-bench runs with doubles: what they resolve, what a kill -9 of the runner changes, and how those end that misbehave.

python bench/swe_run.py                             the set of 17, the same with five kills, and each misbehaviour
python bench/swe_run.py --chaos 200 --workers 8     200 instances, the repositories repeated under other ids, with --kills
python bench/swe_run.py --slots 64 --latency 0.2    how busy 64 slots are on a server that takes 0.2 s an answer

Exits 1 if an instance is not resolved, has no result or two, ends with another status than it should, if a command left its mark
twice, or if a prediction or the hash of a journal differs from the undisturbed run's.
"""

import argparse
import os
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

from pages import options, origin, table, write
from servers import redis_server
from swe_house import Outcome, Place, Runner, beside, double, faults, moments, the_set
from swe_set import SET

TURNS, TIMEOUT_S = 8, 3
"""The budget of those that misbehave: turns, and seconds of a command."""
SLACK_S = 30.0
"""Beside the commands: making workspaces, sandboxes, and the patch, on a busy machine."""
EXPECTED = {
    "overthinks": ("answered", 1),
    "overthinks --monitor": ("overthinking", TURNS),
    "loops": ("turn_limit", TURNS),
    "garbage": ("error_limit", 5),
    "unknown-tools": ("error_limit", 5),
    "hangs": ("turn_limit", TURNS),
    "floods": ("turn_limit", TURNS),
    "forks": ("turn_limit", TURNS),
    "deletes": ("lost_workspace", 3),
}
"""The status that each has to end with, and the most turns that it may take."""
MISBEHAVE = 3
"""Instances for each of them."""
NAMES = sorted(path.name for path in SET.iterdir() if path.is_dir())
MARKS = ("<!-- the set -->", "<!-- chaos -->", "<!-- slots -->")
"""Each way of calling this bench writes its own part of the page."""


def row(what: str, outcome: Outcome, found: list[str]) -> tuple[str, ...]:
    """Return a run as a row of the page."""
    return (
        what,
        f"{len(outcome.results)}",
        f"{outcome.resolved}",
        f"{len(outcome.kills)}",
        f"{outcome.counted('turns')}",
        f"{outcome.counted('calls')}",
        f"{outcome.made_again}",
        f"{len(found)}",
        f"{outcome.seconds:.0f} s",
    )


ROW = (
    "run",
    "instances over",
    "resolved",
    "kills",
    "turns",
    "calls",
    "calls made again in a new workspace",
    "differences",
    "time",
)


def whole_set(place: Place, given: argparse.Namespace) -> tuple[str, list[str]]:
    """Run the set, undisturbed and with kills, then those that misbehave."""
    instances = the_set(place.folder / "set", place.python, given.instances)
    rng = random.Random(given.seed)
    with double(instances) as url:
        quiet = Runner(place, instances, url, "quiet", {"workers": given.workers}).play()
        strikes = moments(rng, given.kills, quiet.steps)
        killed = Runner(place, instances, url, "killed", {"workers": given.workers}).play(strikes)
    one = faults(quiet, instances) + unresolved(quiet)
    two = faults(killed, instances) + beside(killed, quiet) + unresolved(killed)
    rows = [row("undisturbed", quiet, one), row("killed", killed, two)]
    struck = "; ".join(
        f"after {kill.lived_s:.0f} s of its life, {kill.over} instances over, {kill.steps} steps durable"
        for kill in killed.kills
    )
    bad, wrong = misbehaved(place, given)
    text = "\n\n".join(
        (
            f"{len(quiet.results)} repositories of [bench/swe](../swe), {given.workers} workers, environment {place.env}; "
            f"graded by {quiet.graders}.  The runner was killed {struck}.",
            table(ROW, rows),
            f"Doubles that misbehave, {MISBEHAVE} instances each, {TURNS} turns of at most {TIMEOUT_S} s a command:",
            bad,
        )
    )
    return text, one + two + wrong


def unresolved(outcome: Outcome) -> list[str]:
    """Name the instances that are not resolved."""
    return [
        f"{name}: not resolved: {each['chosen']['exit_status']}, {each['chosen']['why']!r}"
        for name, each in outcome.results.items()
        if each["resolved"] is not True
    ]


def misbehaved(place: Place, given: argparse.Namespace) -> tuple[str, list[str]]:
    """Run each double that misbehaves; return a table, and what did not end as it should."""
    rows, wrong = [], []
    instances = the_set(place.folder / "set", place.python, MISBEHAVE)
    for what in given.doubles:
        status, turns = EXPECTED[what]
        conduct, _, monitor = what.partition(" --")
        budget: dict[str, object] = {"workers": MISBEHAVE, "turns": TURNS, "timeout": TIMEOUT_S}
        with double(instances, conduct) as url:
            runner = Runner(
                place, instances, url, what.replace(" --", "-"), budget | ({monitor: ""} if monitor else {})
            )
            outcome = runner.play()
        chosen = [result["chosen"] for result in outcome.results.values()]
        ended = Counter(each["exit_status"] for each in chosen)
        longest = max(each["seconds"] for each in chosen)
        most_s = TURNS * TIMEOUT_S + SLACK_S
        if ended != {status: MISBEHAVE}:
            wrong.append(f"{what}: ended {dict(ended)}, not {status}")
        if any(each["turns"] > turns for each in chosen) or longest > most_s:
            wrong.append(f"{what}: {[each['turns'] for each in chosen]} turns, {longest:.0f} s")
        took = Counter(str(each["turns"]) for each in chosen)
        patches = sum(bool(each["patch"]) for each in chosen)
        rows.append(
            (what, ", ".join(sorted(ended)), ", ".join(sorted(took)), f"{longest:.1f} s", f"{patches}")
        )
    return table(("double", "ended", "turns", "longest attempt", "patches"), rows), wrong


def chaos(place: Place, given: argparse.Namespace) -> tuple[str, list[str]]:
    """Run many instances under kills, beside an undisturbed run of the repositories that they repeat."""
    few = the_set(place.folder / "set", place.python, min(given.chaos, len(NAMES)))
    many = the_set(place.folder / "set", place.python, given.chaos)
    rng = random.Random(given.seed)
    with double(the_set(place.folder / "set", place.python, given.chaos, tests=False)) as url:
        quiet = Runner(place, few, url, "quiet", {"workers": given.workers}).play()
        strikes = moments(rng, given.kills, quiet.steps * given.chaos // len(quiet.results))
        killed = Runner(place, many, url, "chaos", {"workers": given.workers}).play(strikes)
    one = faults(quiet, few) + unresolved(quiet)
    two = faults(killed, many) + beside(killed, quiet) + unresolved(killed)
    about = (
        f"{given.chaos} instances, the repositories repeated under other ids, {given.workers} workers, environment {place.env}, "
        f"killed at {given.kills} random moments; each prediction and each hash beside that of its repository in an "
        f"undisturbed run.  The double runs no tests on its way.  Graded by {killed.graders}."
    )
    return f"{about}\n\n{table(ROW, [row('undisturbed', quiet, one), row('killed', killed, two)])}", one + two


def slots(place: Place, given: argparse.Namespace) -> tuple[str, list[str]]:
    """Measure how busy the slots are on a slow server."""
    count = given.instances or 3 * given.slots
    instances = the_set(place.folder / "set", place.python, count, tests=False)
    with double(instances, latency=given.latency) as url:
        runner = Runner(place, instances, url, "slots", {"workers": given.slots, "no-grade": ""}, watch=True)
        outcome = runner.play()
    share, window_s = busy(outcome, given.slots)
    flight = sum(outcome.in_flight) / max(1, len(outcome.in_flight))
    turns = outcome.counted("turns")
    statuses = Counter(result["chosen"]["exit_status"] for result in outcome.results.values())
    wrong = [] if share >= 0.9 else [f"the slots were busy {share:.1%} of the time"]
    if statuses != {"submitted": count}:
        wrong.append(f"ended {dict(statuses)}")
    about = (
        f"{count} instances, {given.slots} workers, {given.latency:g} s an answer, environment {place.env}, no tests run.  Busy is the "
        "share of slot-seconds with an attempt in it, of all slot-seconds from the first attempt's beginning until no instance waits for a "
        "worker.  The commands and the bookkeeping share the machine's cores, and so fewer requests are at the server than there are slots."
    )
    rows = [
        (
            f"{share:.1%}",
            f"{window_s:.0f} s",
            f"{flight:.1f}",
            f"{max(outcome.in_flight, default=0)}",
            f"{turns / outcome.seconds:.0f}",
            f"{outcome.seconds:.0f} s",
        )
    ]
    columns = (
        "slots busy",
        "until none waits",
        "requests at the server, mean",
        "most",
        "turns a second",
        "time",
    )
    return f"{about}\n\n{table(columns, rows)}", wrong


def busy(outcome: Outcome, slots: int) -> tuple[float, float]:
    """Return the share of time that slots are busy while instances wait, and how long that is.

    An attempt begins when its instance's lock is made and ends with the instance's result.
    """
    folders = [outcome.out / "instances" / name for name in outcome.results]
    spans = [((each / ".lock").stat().st_mtime, (each / "result.json").stat().st_mtime) for each in folders]
    first, last = min(begin for begin, _ in spans), max(begin for begin, _ in spans)
    spent = sum(max(0.0, min(end, last) - begin) for begin, end in spans)
    return spent / (slots * (last - first)), last - first


def page(part: str, text: str, results: Path | None) -> str:
    """Return the page with one of its parts new."""
    old = (results / "swe.md").read_text() if results and (results / "swe.md").exists() else ""
    parts = {mark: old.partition(mark)[2] for mark in MARKS}
    for mark in MARKS:  # each ends where the next begins
        for other in MARKS:
            parts[mark] = parts[mark].partition(other)[0].strip()
    parts[part] = text
    body = "\n\n".join(f"{mark}\n\n{parts[mark]}" for mark in MARKS if parts[mark])
    return f"# SWE-bench runs with doubles\n\n{body}\n"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = options(__doc__, "swe.md")
    parser.add_argument("--env", choices=["bubblewrap", "local"], default="bubblewrap")
    parser.add_argument("--python", default=sys.executable, help="what has pytest, for the tests of the set")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--kills", type=int, default=5, help="of the runner")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--chaos", type=int, help="so many instances, with kills")
    parser.add_argument("--slots", type=int, help="so many instances at a time, on a slow server")
    parser.add_argument("--latency", type=float, default=0.2, help="of the slow server, in seconds")
    parser.add_argument(
        "--instances", type=int, help="the whole set if not given, and three for each of the --slots"
    )
    parser.add_argument("--doubles", nargs="*", choices=EXPECTED, default=[*EXPECTED], help="that misbehave")
    parser.add_argument("--folder", type=Path, help="where the runs stay, to be looked at")
    return parser.parse_args()


def main() -> int:
    """Run what is asked for, write its part of the page, and say what is not as it should be."""
    given = arguments()
    work, mark = (
        (chaos, MARKS[1]) if given.chaos else (slots, MARKS[2]) if given.slots else (whole_set, MARKS[0])
    )
    with tempfile.TemporaryDirectory(prefix="sf-swe-") as name, redis_server() as redis:
        folder = given.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        text, wrong = work(Place(folder.absolute(), given.env, given.python, redis), given)
    load = f"  Load of the machine at the end, this bench included: {os.getloadavg()[2]:.1f}."
    text = f"{origin('swe_run', given.results, load)}\n\n{text}"
    write(given.results, "swe.md", page(mark, text, given.results))
    print(text)
    for sentence in wrong:
        print(sentence)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())

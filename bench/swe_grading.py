"""Our statement of SWE-bench's grading rules beside the official report function, on generated logs.

python bench/swe_grading.py --logs 20000      exits 1 if a grade differs; `make swe-others` has the official harness installed
"""

import random
from collections import Counter
from importlib.util import find_spec

from pages import options, origin, table, write

from surefoot.agents.swe.grading import PatchGrade, grade
from surefoot.agents.swe.instances import Instance

NAMES = [
    *(f"t.py::test_{letter}" for letter in "abcdef"),
    *(f"t.py::test_p[{value}]" for value in ("1", "2", "x-1", "x-2", "a b", "[", "é", "")),
    *("t.py::Case::test_s", "t.py::test_p[x", "t.py::test_p[", "t.py", "[100%]", "[1]", "file"),
]
STATES = ["PASSED"] * 8 + [
    "FAILED",
    "ERROR",
    "SKIPPED",
    "XFAIL",
    "XPASS",
    "SUBFAILED[i=1]",
    "PASSEDX",
    "ERROR:",
    "passed",
    "",
]
TAILS = ["", "", "", " - assert 0", " - - x", "\t", " ", " [ 50%]", "\r", " \x0b x"]
NOISE = [
    *(
        "",
        "===== short test summary info =====",
        "SKIPPED [2] t.py:4: why",
        "PASSED",
        "FAILED - x",
        " PASSED t.py::test_a",
    ),
    *(
        "\x1b[32mPASSED\x1b[0m t.py::test_a",
        "Tests: 3 failed",
        "Executed 0 of 0",
        "Executed 2 of 2",
        "12 passing",
        "FAILED\x0ct.py::test_b",
    ),
    *(
        ">>>>> Start Test Output",
        ">>>>> End Test Output",
        ">>>>> Test Exit Code: 0",
        ">>>>> Tests Errored",
        "ERROR: not found: t.py",
    ),
]
TRIES = 20


def a_log(rng: random.Random) -> str:
    """Return the log of a run that never was: mostly of the official form, with what tests print in between."""
    names = rng.sample(NAMES, rng.randint(0, len(NAMES)))
    states = STATES if rng.random() < 0.7 else ["PASSED", "XFAIL"]
    lines = [
        f"{rng.choice(states)} {name}{rng.choice(TAILS)}"
        for name in names
        for _ in range(rng.choice((1, 1, 1, 2)))
    ]
    lines += rng.sample(NOISE[:12], rng.randint(0, 3)) + (rng.sample(NOISE, 1) if rng.random() < 0.1 else [])
    rng.shuffle(lines)
    end = rng.choice(["\n", "\n", "\n", "\r\n", "\r"])
    code = rng.choice(
        [
            ">>>>> Test Exit Code: 0",
            ">>>>> Test Exit Code: 1",
            ">>>>> Test Exit Code: -9",
            ">>>>> Tests Timed Out",
            "",
        ]
    )
    whole = [">>>>> Start Test Output", *lines, ">>>>> End Test Output", code]
    if rng.random() < 0.05:
        del whole[rng.randrange(len(whole))]
    return end.join(whole)


def an_instance(rng: random.Random) -> Instance:
    """Return an instance whose tests may or may not be in a log."""
    names = rng.sample(NAMES, rng.randint(1, 8))
    first = rng.randint(1, len(names))
    return Instance(
        instance_id="o__r-1",
        repo="o/r",
        base_commit="0" * 40,
        problem_statement="x",
        fail_to_pass=tuple(names[:first]),
        pass_to_pass=tuple(names[first:]),
    )


def outcome(found: PatchGrade) -> str:
    """Return what a grade comes to, in a word."""
    return "resolved" if found.resolved else "unresolved" if found.readable else "says nothing"


def main() -> int:
    """Print how many grades of each outcome agree."""
    parser = options(__doc__, "swe_grading.md")
    parser.add_argument("--logs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if find_spec("swebench") is None:
        print(
            f"{given.logs:,} logs were to be graded, but swebench is not installed: pip install 'surefoot[swe]'"
        )
        return 0
    rng = random.Random(given.seed)
    agreed: Counter[str] = Counter()
    differing = []
    for _ in range(given.logs):
        log, instance = a_log(rng), an_instance(rng)
        official, ours = grade(instance, log, grader="swebench"), grade(instance, log, grader="surefoot")
        if official._replace(grader="") == ours._replace(grader=""):
            agreed[outcome(official)] += 1
        else:
            differing.append((log, instance, official, ours))
    rows = [(word, f"{agreed[word]:,}") for word in sorted(agreed)]
    rows += [("all of these", f"{agreed.total():,}"), ("grades that differ", f"{len(differing):,}")]
    title = f"# SWE-bench's rules of grading: {official.grader}, and as stated in `agents/swe/grading.py`"
    about = (
        f"Both graded the same {given.logs:,} generated logs; a grade is the verdict and both lists of tests."
    )
    page = f"{title}\n\n{origin('swe_grading', given.results)}\n\n{about}\n\n{table(('outcome', 'logs'), rows)}\n"
    write(given.results, "swe_grading.md", page)
    print(page)
    for log, instance, official, ours in differing[:TRIES]:
        print(f"\n{log!r}\n{instance.fail_to_pass} {instance.pass_to_pass}\n{official}\n{ours}")
    return 1 if differing else 0


if __name__ == "__main__":
    raise SystemExit(main())

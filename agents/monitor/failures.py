"""Whether what came back tells of a failure: by the exit code where it settles that, else by the tools' own words.

A code other than 0 is a failure.  0 is none, unless the command hides how a part of it went (`hides`): before a pipe or
`|| true`, or a command that another one follows.  Then, and without a code, the words decide, colours taken out first.  What was only
read may tell of any failure without being one.
"""

import re
from collections.abc import Collection, Set
from typing import NamedTuple

from .kinds import READS, RUNS, WORDS, ActionKind, command_of, hides, only_reads

ToolCall = tuple[str, str, ActionKind]
"""Name, arguments, kind: an `Action`."""

COLOURS = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]|\x1b\][^\x07\x1b]*+(?:\x07|\x1b\\)|\x1b[()][0-9A-B]"
)
LAST, FIRST = 300, 200
"""Characters at the end and at the beginning in which a harness states the exit code."""


class Told(NamedTuple):
    """A pattern, and words of which every match holds one: to look for these is ten times as fast as to try the pattern."""

    pattern: re.Pattern[str]
    words: frozenset[str]

    def found(self, text: str, held: Set[str]) -> bool:
        """Say whether the text, which holds these words, tells of it."""
        return not self.words.isdisjoint(held) and self.pattern.search(text) is not None


class Sieve:
    """Finds which words of some patterns a text holds, in one look for all that have a stem in common."""

    def __init__(self, *told: Told) -> None:
        self._by_stem: dict[str, list[str]] = {}
        for word in sorted(frozenset[str]().union(*(each.words for each in told))):
            self._by_stem.setdefault(next((stem for stem in STEMS if stem in word), word), []).append(word)

    def held(self, text: str) -> frozenset[str]:
        """Return the words that stand in a text."""
        stems = filter(text.__contains__, self._by_stem)
        return frozenset(word for stem in stems for word in self._by_stem[stem] if word in text)


STEMS = (
    *("xit", "eturn", "irectory", "not ", "ail", "FAIL", "rror", "eformat", "*"),
    *("an't ", "ndefined ", "panic", ": "),
)
"""What many words have in common, and most texts do not hold."""


def _told(pattern: str, *words: str) -> Told:
    return Told(re.compile(pattern, re.MULTILINE), frozenset(words))


STATED = _told(
    r"^[\[({<\"'*\s]{0,6}(?:[\w ]{0,40} )?(?:[Ee]xit(?:ed)?(?: with)?[ _]?(?:[Cc]ode|[Ss]tatus)|[Ee]xited with|[Rr]eturn[ _]?[Cc]ode)"
    r"[\"'>)\s:=]{1,4}(-?\d{1,9})\b",
    *(
        "xit code",
        "xit Code",
        "xit status",
        "xited with",
        "xit_code",
        "xitCode",
        "eturncode",
        "eturn code",
        "eturn_code",
    ),
)
"""An exit code, as harnesses and shells state it in a line of its own."""

_REFUSED = (
    r"(?:command not found|not found|No such file or directory|Permission denied|Operation not permitted|"
    r"Is a directory|Not a directory)(?:: [^\n]*)?$"
)
_REFUSING = (
    "not found",
    "No such file or directory",
    "ermission denied",
    "not permitted",
    "s a directory",
    "Not a directory",
)
REFUSED = _told(
    rf"^[^\n]*(?:: |\] ){_REFUSED}|^(?:command not found|No such file or directory|Permission denied)",
    *_REFUSING,
)
"""A command that could not do what it was told."""
READER_REFUSED = _told(
    rf"^(?:[\w./-]*/)?(?:{'|'.join(sorted(READS | RUNS))}): [^\n]*?(?<=: ){_REFUSED}", *_REFUSING
)
"""The same of a command that reads, by its own name: what it read may quote others."""
HEAD = re.compile(
    r"\A\s{0,8}(?:(?:EXECUTION RESULT of \[[^\]\n]{0,80}\]|[Oo]bservation|OBSERVATION):\s{0,4})?"
    r"(?:[\[{(\"'*#]{0,3}(?:ERROR|[Ee]rror|Exception)[\"'\])*]{0,3}\s{0,2}[:\n!](?!\s{0,4}(?:null|None|false|\"\"))"
    r"|Error (?:calling|editing|executing|invoking|reading|running|while)\b|Failed to )"
)
"""How the answer of a tool begins that is no shell."""

SUMMARIES = (
    _told(
        r"(?<![\w.])(?<!ok )[1-9]\d*+ (?:tests? )?(?:failed|failing|failures?|errors?)\b(?! (?:expected|fixed|ignored|suppressed))",
        *(" failed", " failing", " failure", " error"),
    ),
    _told(
        r"\b(?:[Ff]ail(?:ed|ures)|[Ee]rrors): {0,6}[1-9]|^FAILED \(|\bfailed=[1-9]",
        "ailed",
        "FAILED",
        "ailures:",
        "rrors:",
    ),
    _told(r"^ {0,40}(?:[#ℹ] fail [1-9]|not ok \d++(?![^\n]*# (?:TODO|SKIP)))", " fail ", "not ok "),
    _told(
        r"BUILD FAIL(?:ED|URE)|Build (?:FAILED|failed)|FAILURES!|FAILURE: |Result: FAIL|test result: FAILED|Test Run Failed|Test suite failed",
        *(
            "BUILD FAIL",
            "Build FAILED",
            "Build failed",
            "FAILURE",
            ": FAIL",
            "Test Run Failed",
            "Test suite failed",
        ),
    ),
    _told(r"\*\*\*(?:Failed|Exception|Timeout|Not Run)", "***"),
    _told(r"^(?:\(fail\) |\s{0,9}[1-9]\d*+ fail$)", "(fail) ", " fail"),
    _told(
        r"^[^\s:]++:\d++:\d++: [A-Z]{1,3}\d{3,4} |\bwould (?:be reformatted|reformat )|Code style issues found",
        *(
            ": E",
            ": F",
            ": W",
            ": C",
            ": R",
            ": PL",
            "would be reformatted",
            "would reformat ",
            "Code style issues",
        ),
    ),
    _told(
        r"^\s{0,40}(?:FAIL(?:$|[ \t])|FAILED(?: |: (?!0$))|--- FAIL: |panic: |# \S++\n(?:vet: )?[^\s:]*+:\d++:\d++: )",
        "FAIL",
        "panic: ",
        ".go:",
    ),
    _told(
        r"^\w*make(?:\[\d++\])?: \*\*\* |^ninja: (?:error|build stopped)|\bCMake Error\b|errors occurred!",
        *(": *** ", "ninja: ", "CMake Error", "errors occurred!"),
    ),
    _told(
        r"^\S[^\n]*?(?:[:)]|:\d++ -) (?:fatal )?error(?: [A-Z]{1,8}\d++)?: |^error[ \[](?:TS|E|CS)\d++|^error: (?:could not|aborting)",
        *("error: ", "error[E", "error TS", "error CS", "error MSB", "error NU"),
    ),
)
"""What only a failing run prints: test runners, build tools, compilers."""

COMPLAINTS = (
    _told(
        r"^(?:Uncaught )?[\w.$]*(?:Error|Exception)(?: \[\w++\])?(?:: |$)|\(\w*(?:Error|Exception)\)$|^Exception in thread ",
        *("Error", "Exception"),
    ),
    _told(
        r"^(?:ERROR\b|(?:PHP )?(?:[Ee]rror|FATAL|[Ff]atal)(?: error)?(?:$|[:!\[])|\[(?:ERROR|FATAL)\]|fatal: |npm (?:ERR!|error) |E: )",
        "rror",
        "ERR",
        "FATAL",
        "atal",
        "E: ",
    ),
    _told(
        r"^(?:Can't |Undefined |Died)[^\n]* at \S++ line \d++|^curl: \(\d++\)|Error response from daemon|[Ss]ome tests failed"
        r"|Traceback \(most recent call last\)|Segmentation fault|\(core dumped\)|undefined reference to|ld returned 1|panicked at"
        r"|syntax error near|unexpected end of file|unbound variable|timed out|cancelled because it took|exiting with code [1-9]",
        *(
            "Can't ",
            "Undefined ",
            "Died",
            "curl: (",
            "rror response",
            "ome tests failed",
            "Traceback",
            "Segmentation fault",
            "core dumped",
            "undefined reference",
            "ld returned 1",
            "panicked at",
            "syntax error",
        ),
        *("unexpected end", "unbound variable", "timed out", "cancelled because", "exiting with code"),
    ),
    _told(
        r"No replacement was performed|did not appear verbatim|[Pp]roposed edit has introduced|edit was not applied|patch does not apply"
        r"|patch failed|Hunk #\d++ FAILED|CONFLICT \(|did not match any|can't find file to patch|was NOT executed|reason: Failed",
        *(
            "No replacement",
            "not appear verbatim",
            "roposed edit",
            "not applied",
            "does not apply",
            "patch failed",
            "FAILED",
            "CONFLICT",
        ),
        *("did not match any", "an't find file to patch", "NOT executed", "reason: Failed"),
    ),
)
"""What a failing run says, and one that passes may print: a test that passes may raise."""

PASSED = _told(
    r"\b\d++ (?:tests? )?pass(?:ed|ing)\b|^OK\b|test result: ok|BUILD SUCCESS|[#ℹ] fail 0\b|\b0 fail(?:ed|ures)\b|100% tests passed"
    r"|All checks passed|no issues found",
    *(" pass", "OK", "result: ok", "BUILD SUCCESS", " fail 0", "0 fail", "no issues found"),
)

CODES, REFUSALS, PASSES = Sieve(STATED), Sieve(REFUSED), Sieve(PASSED)
FAILURES = Sieve(REFUSED, *SUMMARIES, *COMPLAINTS)


def tells_failure(text: str, calls: Collection[ToolCall] = (), code: int | None = None) -> bool:
    """Say whether `text`, which came back from `calls`, tells of a failure; `code` is what the log has beside the text."""
    if "\x1b" in text or "\x9b" in text:
        text = COLOURS.sub("", text)
    commands = [command_of(name, arguments) for name, arguments, _ in calls if _is_shell(name)]
    reads = {kind for _, _, kind in calls} == {"read"} and all(map(only_reads, commands))
    if code is None:
        code = stated_code(text, reads)
    if code:
        return True
    if code == 0 and not any(map(hides, commands)):
        return False
    return looks_failed(text, reads, tool=bool(calls) and not commands)


def looks_failed(text: str, reads: bool = False, tool: bool = False) -> bool:
    """Say whether words without colours and without a code read like a failure.

    `reads`: of what only read; `tool`: they are what a tool answered, not what a command printed.
    """
    if tool and HEAD.match(text):
        return True
    held = (REFUSALS if reads else FAILURES).held(text)
    if not held:
        return False
    if reads:
        return READER_REFUSED.found(text, held) or (tool and REFUSED.found(text, held))
    if REFUSED.found(text, held) or any(told.found(text, held) for told in SUMMARIES):
        return True
    complained = any(told.found(text, held) for told in COMPLAINTS)
    return complained and not PASSED.found(text, PASSES.held(text))


def stated_code(text: str, reads: bool = False) -> int | None:
    """Return the exit code that a text states, or None: a harness's word at its end or beginning, else the first that is not 0.

    What was read may state the codes of others anywhere in between.
    """
    if not CODES.held(text):
        return None
    ends = [*STATED.pattern.finditer(text[-LAST:])][-1:] or [*STATED.pattern.finditer(text[:FIRST])][:1]
    if ends:
        return int(ends[0][1])
    if reads:
        return None
    codes = [int(found[1]) for found in STATED.pattern.finditer(text)]
    return next((code for code in codes if code), 0) if codes else None


def _is_shell(name: str) -> bool:
    return not RUNS.isdisjoint(word.lower() for word in WORDS.findall(name))

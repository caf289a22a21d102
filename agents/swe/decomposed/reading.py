"""What a model answers in a decomposed run, read strictly: one form each, and anything else is no answer."""

import posixpath
import re
from collections.abc import Sequence

from surefoot.models.offers import without_thoughts
from surefoot.models.tags import THINK
from surefoot.printable import encodable
from surefoot.voting.flags import NotAnAnswer

from .sources import enclosing, snapped
from .state import ChosenFiles, Edit, Edits, Place, Places, ShownSource, WrittenTest

READ = 100_000
"""Characters of an answer that is read."""
MOST_FILES = 5
MOST_PLACES = 12
MOST_EDITS = 50
LONGEST_PATH = 300
FENCE = "```"
SEARCH, DIVIDER, REPLACE = "<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE"
TEST_NAME = "test_surefoot_issue"
"""What the files of candidate tests are called, before their numbers."""
TESTS = re.compile(
    r"^[ \t]*(?:async[ \t]+)?def[ \t]+(test\w*)[ \t]*\(|^[ \t]*class[ \t]+(Test\w*)", re.MULTILINE
)
THE_TEST = "test_issue"
SPAN = re.compile(r"(\d{1,7})(?:-(\d{1,7}))?")
SYMBOL = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


def read_files(text: str) -> ChosenFiles:
    """Read the files that were named."""
    paths = sorted({path_of(line) for line in _lines(text, "files")})
    if not 0 < len(paths) <= MOST_FILES:
        raise NotAnAnswer(f"{len(paths)} files, where 1 to {MOST_FILES} were asked for")
    return ChosenFiles(tuple(paths))


def read_places(text: str, sources: Sequence[ShownSource]) -> Places:
    """Read the places that were named, each as its file knows it."""
    known = {source.path: source for source in sources}
    found = set()
    for line in _lines(text, "places"):
        name, _, where = line.partition("::")
        path = path_of(name)
        if path not in known:
            raise NotAnAnswer(f"{path!r} is none of the files that were shown")
        found.add(_place(path, where.strip(), known[path]))
    if not 0 < len(found) <= MOST_PLACES:
        raise NotAnAnswer(f"{len(found)} places, where 1 to {MOST_PLACES} were asked for")
    return Places(tuple(sorted(found)))


def read_test(text: str) -> WrittenTest:
    """Read a test file that holds one test."""
    written = _block(text, "python")
    names = [one or other for one, other in TESTS.findall(written)]
    if names != [THE_TEST]:
        raise NotAnAnswer(f"one test was asked for, `{THE_TEST}`, not {', '.join(names[:5]) or 'none'}")
    return WrittenTest(written)


def read_edits(text: str) -> Edits:
    """Read search and replace blocks, each after the path of its file."""
    edits: list[Edit] = []
    name = path = ""
    old: list[str] | None = None
    new: list[str] | None = None
    for line in _answer(text).split("\n"):
        mark = line.rstrip()
        if old is None:
            if mark == SEARCH:
                path, old = path_of(name), []
            elif mark and not mark.startswith(FENCE):
                name = mark
        elif new is None:
            new = _taken(old, mark == DIVIDER, line)
        elif mark == REPLACE:
            edits.append(Edit(path, _whole(old), _whole(new)))
            old, new = None, None
        else:
            new.append(line)
    if old is not None:
        raise NotAnAnswer("a block is not closed")
    if not 0 < len(edits) <= MOST_EDITS:
        raise NotAnAnswer(f"{len(edits)} blocks, where 1 to {MOST_EDITS} were asked for")
    if any(edit.old == edit.new for edit in edits):
        raise NotAnAnswer("a block replaces lines by themselves")
    return Edits(tuple(edits))


def path_of(name: str) -> str:
    """Return a path in the repository in its one form; raises `NotAnAnswer` for one that leads elsewhere."""
    name = name.strip().strip("`").strip()
    path = posixpath.normpath(name) if name else ""
    parts = path.split("/")
    if not path or len(path) > LONGEST_PATH or path == "." or name.endswith("/") or "\0" in path:
        raise NotAnAnswer(f"{name[:80]!r} is no path of a file")
    if path.startswith("/") or ".." in parts or ".git" in map(str.lower, parts):
        raise NotAnAnswer(f"{name[:80]!r} does not lie in the repository")
    if parts[-1].startswith(TEST_NAME):
        raise NotAnAnswer(f"{name[:80]!r} is the test that shows the issue")
    return path


def _place(path: str, where: str, source: ShownSource) -> Place:
    if span := SPAN.fullmatch(where):
        first = int(span[1])
        last = int(span[2] or first)
        if not 0 < first <= last:
            raise NotAnAnswer(f"{where!r} are no lines")
        return enclosing(path, first, last, source.definitions)
    if where and not SYMBOL.fullmatch(where):
        raise NotAnAnswer(f"{where[:80]!r} is neither a name nor lines")
    return snapped(path, where, source.definitions)


def _taken(old: list[str], divides: bool, line: str) -> list[str] | None:
    """Take a line of what is searched for, or begin what replaces it."""
    if divides:
        return []
    old.append(line)
    return None


def _whole(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _answer(text: str) -> str:
    if len(text) > READ or not encodable(text) or "\0" in text:
        raise NotAnAnswer(f"more than {READ:,} characters, or no text")
    return without_thoughts(text.replace("\r\n", "\n"), THINK.open, THINK.close)


def _lines(text: str, label: str) -> list[str]:
    return [line for line in _block(text, label).split("\n") if line.strip()]


def _block(text: str, label: str) -> str:
    """Return what the one fenced block with this label holds."""
    lines = _answer(text).split("\n")
    fences = [place for place, line in enumerate(lines) if line.startswith(FENCE)]
    if len(fences) != 2 or lines[fences[0]].rstrip() != FENCE + label or lines[fences[1]].rstrip() != FENCE:
        raise NotAnAnswer(f"one block was asked for, opened by {FENCE}{label} and closed by {FENCE}")
    return _whole(lines[fences[0] + 1 : fences[1]])

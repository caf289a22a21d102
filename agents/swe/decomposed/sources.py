"""Files as a model is shown them: which of them, and which of their lines, within the room that there is.

Nothing here parses Python.  A repository is outside text, and the compiler of this process may fail on it; definitions are found by
their lines and indentation, in one pass.  A text in triple quotes that reaches to the left of its function ends it too early.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from .state import Definition, Place, ShownSource

DEFINES = re.compile(r"([ \t]*)(?:async[ \t]+def|def|class)[ \t]+([^\W\d]\w{0,79})")
WORD = re.compile(r"[^\W_]{3,40}")
MOST_DEFINITIONS = 2_000
"""Of one file."""
DEEPEST = 20
HEAD = 30
"""Lines at the beginning of a file that are shown first: its imports."""
LONGEST_ENTRY = 2_000
"""Characters of a file's line in a listing."""
GAP = "[... lines {} to {} are left out ...]\n"


def words(text: str) -> frozenset[str]:
    """Return the words of a text that names in code may share: parts between underscores and marks, in lower case."""
    return frozenset(match.group().lower() for match in WORD.finditer(text))


def definitions(text: str) -> tuple[Definition, ...]:
    """Return the classes and functions of a Python file in order of their first lines."""
    found: list[Definition] = []
    opened: list[tuple[int, int]] = []
    """Indentation, and place in `found`, of what the line lies in."""
    decorated = 0
    code = 0
    """The last line that was neither empty nor a comment."""
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if not bare or bare[0] == "#":
            continue
        indent = len(line) - len(line.lstrip())
        while opened and indent <= opened[-1][0] and bare[0] not in ")]}":
            _, place = opened.pop()
            found[place] = _ended(found[place], code)
        code = number
        match = DEFINES.match(line)
        if match and len(found) < MOST_DEFINITIONS and len(opened) < DEEPEST:
            outer = f"{found[opened[-1][1]].name}." if opened else ""
            found.append(Definition(outer + match.group(2), decorated or number, number))
            opened.append((indent, len(found) - 1))
        decorated = (
            (decorated or number)
            if bare[0] == "@"
            else 0
            if match
            else decorated and (decorated if bare[0] in ")]}" or indent else 0)
        )
    for _, place in opened:
        found[place] = _ended(found[place], code)
    return tuple(found)


def _ended(definition: Definition, last: int) -> Definition:
    return Definition(definition.name, definition.first, last)


def snapped(path: str, symbol: str, known: Sequence[Definition]) -> Place:
    """Return the place of a symbol as the file knows it: the longest part of its name that is defined there, or none."""
    names = {each.name for each in known}
    if "." not in symbol and symbol not in names:
        ends = [name for name in names if name.endswith(f".{symbol}")]
        symbol = ends[0] if len(ends) == 1 else symbol
    while symbol and symbol not in names:
        symbol = symbol.rpartition(".")[0]
    return Place(path, symbol)


def enclosing(path: str, first: int, last: int, known: Sequence[Definition]) -> Place:
    """Return the innermost definition that holds these lines, or the file's own level."""
    around = [each for each in known if each.first <= first and last <= each.last]
    return Place(path, min(around, key=lambda each: each.last - each.first).name if around else "")


def listing(files: Mapping[str, int], defined: Mapping[str, Sequence[str]], issue: str, room: int) -> str:
    """Return the files with their sizes and what they define, within `room` characters; what shares most words with the issue stays longest."""
    asked = words(issue)
    full = {path: _entry(path, size, defined.get(path, ())) for path, size in files.items()}
    short = {path: f"{path} ({size:,})" for path, size in files.items()}
    if sum(map(len, full.values())) + len(full) <= room:
        return "\n".join(full[path] for path in sorted(full))
    score = {path: len(asked & words(entry)) for path, entry in full.items()}
    ranked = sorted(files, key=lambda path: (-score[path], len(path), path))
    shown: dict[str, str] = {}
    left, detailed = room - 40, room // 2
    for path in ranked:
        # What they define tells more than the names of files that share nothing with the issue.
        entry = full[path] if score[path] and len(full[path]) < detailed else short[path]
        if len(entry) >= left:
            break
        shown[path] = entry
        left -= len(entry) + 1
        detailed -= len(entry) + 1
    rest = len(files) - len(shown)
    return "\n".join([shown[path] for path in sorted(shown)] + [f"({rest:,} more files)"] * (rest > 0))


def _entry(path: str, size: int, names: Sequence[str]) -> str:
    entry = f"{path} ({size:,}): {', '.join(names)}" if names else f"{path} ({size:,})"
    return entry if len(entry) <= LONGEST_ENTRY else f"{entry[:LONGEST_ENTRY]} ..."


def shown(path: str, text: str, issue: str, room: int, first: Iterable[str] = ()) -> ShownSource:
    """Return a file within `room` characters: whole, or its head, the definitions named `first`, and those that share most with the issue."""
    known = definitions(text) if path.endswith((".py", ".pyi")) else ()
    if len(text) <= room:
        return ShownSource(path, text, known)
    lines = text.split("\n")
    asked, wanted = words(issue), set(first)
    score = {each: len(asked & words("\n".join(lines[each.first - 1 : each.last]))) for each in _outer(known)}
    chosen = [each for each in known if each.name in wanted]
    chosen += sorted(score, key=lambda each: (-score[each], each.first))
    spans = [(1, HEAD), *((each.first, each.last) for each in chosen), (1, len(lines))]
    return ShownSource(path, _lines(lines, spans, room), known)


def _outer(known: Sequence[Definition]) -> list[Definition]:
    """Return definitions that lie in no function: counting every nested one would read its lines once a level."""
    return [each for each in known if each.name.count(".") <= 1]


def _lines(lines: Sequence[str], spans: Iterable[tuple[int, int]], room: int) -> str:
    """Return lines in order, those of earlier spans first of all, with notices for the gaps."""
    kept: set[int] = set()
    notice = len(GAP) + 10
    left = room - 2 * notice
    for first, last in spans:
        left -= notice
        for number in range(first, min(last, len(lines)) + 1):
            if number in kept:
                continue
            left -= len(lines[number - 1]) + 1
            if left < 0:
                return _joined(lines, kept)
            kept.add(number)
    return _joined(lines, kept)


def _joined(lines: Sequence[str], kept: set[int]) -> str:
    parts, after = [], 1
    for number in sorted(kept):
        if number > after:
            parts.append(GAP.format(after, number - 1))
        parts.append(lines[number - 1] + "\n")
        after = number + 1
    if after <= len(lines):
        parts.append(GAP.format(after, len(lines)))
    return "".join(parts)

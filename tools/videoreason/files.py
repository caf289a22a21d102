"""Files: commands create, remove, copy and move files in one folder or two, `path0` and `path1`.

touch path0/{a.txt,b.py}        names that are not there
rm -rf path0/{a.txt}            names that are there
cp path0/{b.py} path1/          names that are there, and are not in the other path
mv path0/{b.py} path1/          the same
"""

import random
import re
from itertools import product
from typing import NamedTuple

from surefoot.tools.puzzles.puzzle import NoMove
from surefoot.voting.flags import NotAnAnswer

from .demo import Demo
from .sets import SIZES, read_sets, write_sets

Names = tuple[str, ...]
Paths = tuple[Names, ...]
"""The names in each path, in alphabetical order."""

ENDINGS = ("txt", "py", "json", "csv")
NAMES = tuple(f"{letter}.{ending}" for letter, ending in product("abcdefghijklmnopqrstuvwxyz", ENDINGS))
VERBS = {"touch": 1080, "rm": 840, "cp": 300, "mv": 300}
"""How often the published commands are of each kind."""
MOST_NAMES = 8
"""A command that is drawn names no more."""
MOST_FILES = 40
"""A path that is drawn holds no more."""
_NAME = r"[a-z]\.(?:txt|py|json|csv)"
_LIST = rf"path([01])/\{{({_NAME}(?:,{_NAME})*+)\}}"
_CHANGE = re.compile(rf"(touch|rm -rf) {_LIST}")
_TRANSFER = re.compile(rf"(cp|mv) {_LIST} path([01])/")
_KNOWN = frozenset(NAMES)


class Command(NamedTuple):
    """One command; a plain tuple."""

    verb: str
    """touch, rm, cp or mv."""
    names: Names
    """In alphabetical order, each once."""
    path: int
    """The path that they are in, or come into by touch."""
    target: int
    """Where cp and mv bring them; the same as `path` for the others."""


class Files(Demo[Paths, Command]):
    """One path or two; an operation is a command."""

    name = "files"
    sizes = SIZES

    def start(self, size: int, rng: random.Random) -> Paths:
        """Draw 10 to 15 names for each path."""
        return tuple(tuple(sorted(rng.sample(NAMES, rng.randint(10, 15)))) for _ in range(size))

    def draw(self, state: Paths, rng: random.Random) -> Command:
        """Draw a kind of command, a path and names; a kind that has no names is drawn again."""
        while True:
            (verb,) = rng.choices(list(VERBS), list(VERBS.values()))
            path = rng.randrange(len(state))
            target = 1 - path if verb in ("cp", "mv") and len(state) > 1 else path
            names = _nameable(state, verb, path, target)
            if names:
                most = min(MOST_NAMES, len(names), 4 if verb == "rm" else MOST_NAMES)
                least = min(3 if verb == "touch" else 1, most)
                chosen = tuple(sorted(rng.sample(names, rng.randint(least, most))))
                return Command(verb, chosen, path, target)

    def after(self, state: Paths, operation: Command) -> Paths:
        """Run the command."""
        verb, names, path, target = operation
        if verb not in VERBS or not (0 <= path < len(state) and 0 <= target < len(state)):
            raise NoMove(f"{operation!r} is illegal: there is no such command or path")
        if (verb in ("cp", "mv")) == (path == target):
            raise NoMove(f"{operation!r} is illegal: cp and mv go to the other path, touch and rm to none")
        for name in names:
            if (name in state[path]) == (verb == "touch"):
                raise NoMove(
                    f"{operation!r} is illegal: {name!r} is {'' if verb == 'touch' else 'not '}there"
                )
            if path != target and name in state[target]:
                raise NoMove(f"{operation!r} is illegal: {name!r} is in path{target}")
        return run(state, operation)

    def write_operation(self, operation: Command) -> str:
        """Write the command line."""
        verb, names, path, target = operation
        line = f"{'rm -rf' if verb == 'rm' else verb} path{path}/{{{','.join(names)}}}"
        return f"{line} path{target}/" if verb in ("cp", "mv") else line

    def read_operation(self, text: str) -> Command:
        """Read a command line; the names may be in any order."""
        shown = _CHANGE.fullmatch(text) or _TRANSFER.fullmatch(text)
        if shown is None:
            raise NotAnAnswer(f"{text[:100]!r} is not a command as touch path0/{{a.txt,b.py}}")
        names, path = shown[3].split(","), int(shown[2])
        if len(set(names)) < len(names):
            raise NotAnAnswer(f"{text[:100]!r} names a file twice")
        target = int(shown[4]) if shown.re is _TRANSFER else path
        return Command(shown[1].partition(" ")[0], tuple(sorted(names)), path, target)

    def write_state(self, state: Paths) -> str:
        """`path0: a.txt, b.py; path1: empty`."""
        return write_sets("path", state)

    def read_state(self, text: str) -> Paths:
        """Read the names, in alphabetical order."""
        paths = read_sets(text, "path", _KNOWN.__contains__)
        if any(list(names) != sorted(set(names)) for names in paths):
            raise NotAnAnswer(f"{text[:100]!r} does not have each file once, in alphabetical order")
        return paths


def run(state: Paths, command: Command) -> Paths:
    """Return the files after a command as the shell runs it, which leaves out what it cannot do."""
    verb, names, path, target = command
    sets = [set(files) for files in state]
    there = set(names) & sets[path]
    if verb == "touch":
        sets[path] |= set(names)
    if verb in ("cp", "mv"):
        sets[target] |= there
    if verb in ("rm", "mv"):
        sets[path] -= there
    return tuple(tuple(sorted(files)) for files in sets)


def _nameable(state: Paths, verb: str, path: int, target: int) -> list[str]:
    """Return the names that a command can have, none if the path that they come into is full."""
    here, there = set(state[path]), set(state[target])
    if verb == "rm":
        return sorted(here)
    if len(there) + MOST_NAMES > MOST_FILES:
        return []
    if verb == "touch":
        return sorted(_KNOWN - here)
    return sorted(here - there) if path != target else []


FILES = Files()

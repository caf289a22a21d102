"""The docstring of the engine says which invariants there are and which functions keep them; here that is held against the code."""

import ast
import re
from pathlib import Path

import pytest

import surefoot.orchestration.engine as engine

ENGINE = Path(str(engine.__file__)).parent
SOURCES = {path.stem: path.read_text() for path in ENGINE.glob("*.py") if path.stem != "__init__"}


def invariants() -> dict[str, str]:
    """Return what is said of each invariant, by its name."""
    said = (engine.__doc__ or "").split("decide", 1)[1]
    found = re.split(r"\n    ([A-Z][A-Z -]+?)  +", said)
    return dict(zip(found[1::2], found[2::2], strict=True))


def functions() -> dict[str, str]:
    """Return the source of every function of the engine, by its name, with that of its class in front if it has one."""
    found = {}
    for text in SOURCES.values():
        lines, tree = text.splitlines(), ast.parse(text)
        for owner in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]:
            for each in owner.body:
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                    # By lines: a comment at the end of the last one belongs to it.
                    source = "\n".join(lines[each.lineno - 1 : each.end_lineno])
                    found[f"{owner.name}.{each.name}" if isinstance(owner, ast.ClassDef) else each.name] = (
                        source
                    )
    return found


def keepers(said: str) -> set[str]:
    """Return the functions that an invariant is said to be kept by: `Class.method`, and then `_method` for others of that class."""
    found, owner = set(), ""
    for word in re.findall(r"[A-Z]\w+\.[a-z_]+|(?<!\w)_[a-z_]+", said.partition("Kept by")[2]):
        owner = word.partition(".")[0] if "." in word else owner
        found.add(word if "." in word else f"{owner}.{word}")
    return found


def test_there_are_eleven() -> None:
    assert len(invariants()) == 11
    assert all("Kept by" in said for said in invariants().values())


@pytest.mark.parametrize("name", invariants())
def test_where_an_invariant_is_kept_a_comment_begins_with_its_name(name: str) -> None:
    known, named = functions(), keepers(invariants()[name])
    assert named and named <= known.keys()
    marked = {each for each in named if re.search(rf"(?:#|\"\"\")[^\n]*\b{name}\b", known[each])}
    assert named == marked

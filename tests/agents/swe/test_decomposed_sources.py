"""Files as a model is shown them: what they define, which of them, and which of their lines."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from surefoot.agents.swe.decomposed import sources
from surefoot.agents.swe.decomposed.sources import definitions, listing, shown

TEXT = '''\
"""A module."""
import os

LIMIT = 3


@decorated(
    "twice",
)
@again
class Cart(
    dict,
):
    """Holds things."""

    async def add(
        self,
        thing,
    ) -> None:
        # deeper
    # a comment to the left
        self[thing] = 1

    @property
    def sum(self):
        def inner():
            return 1

        return inner()


def free(): return 1
if LIMIT:
    def conditional():
        pass
'''


def test_definitions_have_their_decorators_and_end_with_their_last_line() -> None:
    assert [(each.name, each.first, each.last) for each in definitions(TEXT)] == [
        ("Cart", 7, 29),
        ("Cart.add", 16, 22),
        ("Cart.sum", 24, 29),
        ("Cart.sum.inner", 26, 27),
        ("free", 32, 32),
        ("conditional", 34, 35),
    ]


def by_the_compiler(text: str) -> set[tuple[str, int, int]]:
    found = set()

    def walk(node: ast.AST, outer: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = outer
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                first = min([child.lineno, *(each.lineno for each in child.decorator_list)])
                found.add((outer + child.name, first, child.end_lineno or 0))
                name = f"{outer}{child.name}."
            walk(child, name)

    walk(ast.parse(text), "")
    return found


@pytest.mark.parametrize("room", ["agents", "tools", "voting", "models", "orchestration"])
def test_definitions_are_those_of_the_compiler(room: str) -> None:
    compared = different = 0
    for file in sorted((Path(__file__).parents[3] / room).rglob("*.py")):
        text = file.read_text()
        theirs = by_the_compiler(text)
        ours = {(each.name, each.first, each.last) for each in definitions(text)}
        compared += len(theirs)
        different += len(theirs - ours)
    assert compared > 20 and different <= compared // 100


def test_a_listing_that_fits_has_everything() -> None:
    files = {"b.py": 1_200, "a.txt": 3}
    assert listing(files, {"b.py": ["f", "g"]}, "", 1_000) == "a.txt (3)\nb.py (1,200): f, g"


def test_a_listing_that_does_not_fit_keeps_what_the_issue_speaks_of() -> None:
    files = {f"pkg/m{number}.py": 100 for number in range(3_000)} | {"z/deep/parser.py": 5}
    defined = {path: [f"function_{number}" for number in range(20)] for path in files}
    defined["z/deep/parser.py"] = ["parse_header", "Parser"]
    found = listing(files, defined, "Parser fails on an empty header", 2_000)
    lines = found.split("\n")
    assert len(found) <= 2_000
    assert "z/deep/parser.py (5): parse_header, Parser" in lines
    assert lines[-1] == f"({3_001 - len(lines) + 1:,} more files)" and len(lines) > 50
    assert lines[:-1] == sorted(lines[:-1])


def test_a_file_that_fits_is_whole() -> None:
    source = shown("a.py", TEXT, "", len(TEXT))
    assert source.text == TEXT and len(source.definitions) == 6
    assert shown("a.md", TEXT, "", len(TEXT)).definitions == ()


def test_of_a_long_file_the_head_and_what_matters_are_shown() -> None:
    parts = [f"def function_{number}():\n    return {number} * 1000000\n\n\n" for number in range(2_000)]
    parts[700] = "def header():\n    return 'an empty header'\n\n\n"
    parts[900] = "def wanted():\n    return 'the place'\n\n\n"
    text = "import os\n" + "".join(parts)
    source = shown("a.py", text, "It fails on an empty header", 3_000, ["wanted"])
    assert len(source.text) <= 3_000
    for piece in ("import os\n", parts[700][:40], parts[900][:30], "are left out ...]"):
        assert piece in source.text
    assert "function_1999" not in source.text
    held = [line for line in source.text.split("\n") if line and not line.startswith("[...")]
    assert all(f"{line}\n" in text for line in held)


@pytest.mark.parametrize("room", [0, 100, 200, 1_000])
def test_however_small_the_room_it_is_kept(room: int) -> None:
    for text in (TEXT * 50, "x" * 5_000, "\n" * 5_000, "x\n" * 5_000):
        assert len(shown("a.py", text, "cart", room, ["Cart.add"]).text) <= max(room, 60)


def test_hostile_texts_define_little() -> None:
    deep = "\n".join("\t" * depth + "class A:" for depth in range(300))
    assert len(definitions(deep)) == sources.DEEPEST
    assert max(len(each.name) for each in definitions("def " + "x" * 10_000 + "():\n    pass\n")) <= 80
    assert len(definitions("def f(): pass\n" * 10_000)) == sources.MOST_DEFINITIONS


@pytest.mark.parametrize(
    "line", ["def f():\n", "@a\n", ")\n", " \n", "#\n", "  def g():\n    x\n", "class A:\n def b():\n"]
)
def test_what_a_file_shows_takes_time_linear_in_its_length(slope: Callable[..., float], line: str) -> None:
    sizes = (1 << 14, 1 << 16, 1 << 18, 1 << 20)
    assert (
        slope(lambda text: shown("a.py", text, "a b", 1_000), lambda size: line * (size // len(line)), sizes)
        <= 1.2
    )

"""What a model answers in a decomposed run: one form each, canonical, and anything else is no answer."""

from collections.abc import Callable

import pytest

from surefoot.agents.swe.decomposed.reading import (
    LONGEST_PATH,
    MOST_EDITS,
    MOST_FILES,
    READ,
    path_of,
    read_edits,
    read_files,
    read_places,
    read_test,
)
from surefoot.agents.swe.decomposed.state import Definition, Edit, Place, ShownSource
from surefoot.agents.swe.decomposed.workspace import PatchFails, changed_lines, replaced
from surefoot.voting import NotAnAnswer

CLASS = (
    Definition("Cart", 3, 20),
    Definition("Cart.add", 5, 9),
    Definition("Cart.sum", 11, 20),
    Definition("sum", 30, 31),
)
SOURCES = (ShownSource("shop/cart.py", "", CLASS), ShownSource("shop/new.py", "", there=False))


def fenced(label: str, *lines: str) -> str:
    return "\n".join(["I looked around.", f"```{label}", *lines, "```", "That is all."])


def test_files_are_a_set_whatever_their_order_and_spelling() -> None:
    one = read_files(fenced("files", "b.py", "./a/../a/x.py", "", "`b.py`"))
    assert one == read_files(fenced("files", "a/x.py", "b.py ")) and one.paths == ("a/x.py", "b.py")
    assert read_files(f"<think>\n```files\nz.py\n```\n</think>\n{fenced('files', 'b.py')}").paths == ("b.py",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b.py",
        fenced("files"),
        fenced("places", "b.py"),
        fenced("files", "b.py").replace("\n```\n", "\n"),
        fenced("files", "b.py") + "\n" + fenced("files", "b.py"),
        fenced("files", *(f"{number}.py" for number in range(MOST_FILES + 1))),
        fenced("files", "x" * (LONGEST_PATH + 1)),
        fenced("files", "b.py") + " " * READ,
        fenced("files", "b\ud800.py"),
    ],
    ids=str,
)
def test_anything_else_names_no_files(text: str) -> None:
    with pytest.raises(NotAnAnswer):
        read_files(text)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "..",
        "/etc/passwd",
        "../x",
        "a/../../x",
        ".git/config",
        "a/.GIT/hooks/x",
        "folder/",
        "a\0b",
        "tests/test_surefoot_issue_1.py",
    ],
)
def test_no_path_leads_elsewhere(name: str) -> None:
    with pytest.raises(NotAnAnswer):
        path_of(name)


@pytest.mark.parametrize(
    ("line", "symbol"),
    [
        ("Cart.add", "Cart.add"),
        ("add", "Cart.add"),
        ("sum", "sum"),
        ("Cart.vanish", "Cart"),
        ("vanish", ""),
        ("6", "Cart.add"),
        ("5-9", "Cart.add"),
        ("5-12", "Cart"),
        ("9-30", ""),
        ("", ""),
    ],
)
def test_a_place_is_the_definition_around_it(line: str, symbol: str) -> None:
    assert read_places(fenced("places", f"shop/cart.py::{line}"), SOURCES).places == (
        Place("shop/cart.py", symbol),
    )


def test_places_are_a_set() -> None:
    one = read_places(fenced("places", "shop/new.py", "shop/cart.py::add", "shop/cart.py::7"), SOURCES)
    assert one == read_places(fenced("places", "shop/cart.py::Cart.add", "shop/new.py::anything"), SOURCES)
    assert len(one.places) == 2


@pytest.mark.parametrize(
    "line",
    [
        "shop/other.py",
        "shop/cart.py::0",
        "shop/cart.py::9-5",
        "shop/cart.py::a b",
        "shop/cart.py::1-2-3",
        "::add",
    ],
)
def test_other_places_are_no_answer(line: str) -> None:
    with pytest.raises(NotAnAnswer):
        read_places(fenced("places", line), SOURCES)


def test_a_test_file_has_just_the_one_test() -> None:
    text = "import pytest\n\n\ndef helper():\n    pass\n\n\nasync def test_issue():\n    assert 1\n"
    assert read_test(fenced("python", text.removesuffix("\n"))).text == text
    for wrong in (
        "",
        "def test_other():",
        "def test_issue():\ndef test_more():",
        "class TestIssue:\n    def test_issue(self):",
        "def test_issue():\ndef test_issue():",
    ):
        with pytest.raises(NotAnAnswer):
            read_test(fenced("python", wrong))


def block(path: str, old: str, new: str) -> str:
    return f"{path}\n<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE\n"


def test_edits_are_blocks_after_their_paths() -> None:
    first, second = block("a.py", "x = 1\n", "x = 2\n"), block("b/new.py", "", "=======\n")
    text = f"I change two files.\n\n{first}\nand\n```python\n{second}```\nDone."
    assert read_edits(text).edits == (Edit("a.py", "x = 1\n", "x = 2\n"), Edit("b/new.py", "", "=======\n"))
    assert read_edits(text.replace("\n", "\r\n")) == read_edits(text)
    assert read_edits(block("a.py", "x\n", "")).edits == (Edit("a.py", "x\n", ""),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 2",
        block("a.py", "x\n", "x\n"),
        block("a.py", "x\n", "y\n").removesuffix(">>>>>>> REPLACE\n"),
        block("a.py", "x\n", "y\n").replace("=======\n", ""),
        block("", "x\n", "y\n"),
        block("../a.py", "x\n", "y\n"),
        block(".git/config", "", "y\n"),
        block("tests/test_surefoot_issue_1.py", "", "def test_issue(): pass\n"),
        block("a.py", "x\n", "y\n") * (MOST_EDITS + 1),
        block("a.py", "x\n", "y\n" * READ),
    ],
    ids=lambda text: text[:40],
)
def test_anything_else_is_no_patch(text: str) -> None:
    with pytest.raises(NotAnAnswer):
        read_edits(text)


@pytest.mark.parametrize(
    ("text", "old", "new", "after"),
    [
        ("a\nb\nc\n", "b\n", "B\n", "a\nB\nc\n"),
        ("a\nb\nc\n", "b\n", "", "a\nc\n"),
        ("a\nb\nc", "c\n", "C\n", "a\nb\nC\n"),
        ("a\nb\nc", "a\n", "A\n", "A\nb\nc"),
        ("a\r\nb\r\n", "a\n", "A\n", "A\r\nb\r\n"),
        ("ab\nb\n", "b\n", "B\n", "ab\nB\n"),
        ("\n\na\n", "\n\n", "x\n", "x\na\n"),
        (None, "", "x\n", "x\n"),
        ("", "", "x\n", "x\n"),
        ("caf\udce9\nb\n", "b\n", "B\n", "caf\udce9\nB\n"),
    ],
)
def test_an_edit_replaces_whole_lines(text: str | None, old: str, new: str, after: str) -> None:
    assert replaced(text, Edit("a.py", old, new)) == after


@pytest.mark.parametrize(
    ("text", "old"),
    [
        ("a\nb\n", "c\n"),
        ("a\na\n", "a\n"),
        ("aa\n", "a\n"),
        ("  a\n", "a\n"),
        ("a\n", "a\n\n"),
        ("a\n", ""),
        ("a\na\na\n", "a\na\n"),
    ],
)
def test_an_edit_that_fits_nowhere_or_twice_fails(text: str, old: str) -> None:
    with pytest.raises(PatchFails):
        replaced(text, Edit("a.py", old, "new\n"))


def test_a_patch_is_as_large_as_what_it_changes() -> None:
    assert changed_lines(Edit("a.py", "a\nb\nc\n", "a\nB\nc\n")) == 2
    assert changed_lines(Edit("a.py", "", "a\nb\n")) == 2
    assert changed_lines(Edit("a.py", "a\na\n", "a\n")) == 1


@pytest.mark.parametrize(
    "line", ["x.py\n<<<<<<< SEARCH\n", "=======\n", "```python\n", "def test_issue(", "a::b\n", "<think>\n"]
)
@pytest.mark.parametrize("read", [read_files, read_edits, read_test], ids=lambda read: read.__name__)
def test_reading_takes_time_linear_in_the_length(
    slope: Callable[..., float], read: Callable[[str], object], line: str
) -> None:
    def work(text: str) -> None:
        with pytest.raises(NotAnAnswer):
            read(text)

    sizes = (1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16)
    assert sizes[-1] < READ
    assert slope(work, lambda size: line * (size // len(line)), sizes) <= 1.2

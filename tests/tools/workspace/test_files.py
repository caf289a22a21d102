"""The tools over files: what is shown, written, edited, and what is told where that cannot be done."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.tools import FunctionTool, ToolFailed, edit_file, list_files, read_file, write_file
from surefoot.tools.bounded_text import LONGEST
from surefoot.tools.environments import Environment
from surefoot.tools.workspace.near_miss import near_miss


async def told(tool: FunctionTool[Any, Any], world: Environment, **arguments: Any) -> str:
    return (await tool.call(tool.arguments(**arguments), world)).text


async def test_a_file_is_shown_with_its_line_numbers(world: Environment) -> None:
    await world.write("a.py", b"one\r\n\n\tthree \xff\nlast")
    assert (
        await told(read_file, world, path="a.py")
        == "     1\tone\n     2\t\n     3\t\tthree \ufffd\n     4\tlast"
    )


@pytest.mark.parametrize(
    ("first_line", "lines", "text"),
    [
        (1, 1, "     1\ta\n[lines 1 to 1 of 3]"),
        (2, 9, "     2\tb\n     3\tc\n[lines 2 to 3 of 3]"),
        (1, 3, "     1\ta\n     2\tb\n     3\tc"),
    ],
)
async def test_a_part_says_of_what_it_is_a_part(
    first_line: int, lines: int, text: str, world: Environment
) -> None:
    await world.write("a", b"a\nb\nc\n")
    assert await told(read_file, world, path="a", first_line=first_line, lines=lines) == text


async def test_what_is_too_long_is_cut_and_says_so(world: Environment) -> None:
    await world.write("long", b"head" + b"x" * 1_000_000 + b"tail\n" + b"line\n" * 100_000)
    text = await told(read_file, world, path="long", lines=100_000)
    assert len(text) <= LONGEST + 200
    assert "     1\theadxxx" in text and "tail\n     2\tline" in text
    assert "999,708 characters left out]" in text and " line breaks]" in text
    assert text.endswith("\n[lines 1 to 100,000 of 100,001]")


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("nowhere", "'nowhere' cannot be opened: No such file"),
        ("../x", "leads out of the workspace"),
        ("binary", "binary is no text: a file of 5 bytes, some of them 0"),
    ],
)
async def test_what_cannot_be_shown_is_told(path: str, sentence: str, world: Environment) -> None:
    await world.write("binary", b"a\0b\0c")
    with pytest.raises(ToolFailed, match=sentence):
        await told(read_file, world, path=path)


async def test_lines_after_the_end_are_told_of(world: Environment) -> None:
    await world.write("a", b"a\nb\n")
    await world.write("empty", b"")
    assert await told(read_file, world, path="empty") == "[empty is empty]"
    with pytest.raises(ToolFailed, match="a has 2 lines, so none from 3 on can be shown"):
        await told(read_file, world, path="a", first_line=3)


async def test_a_file_is_written_as_it_is_given(world: Environment) -> None:
    assert await told(write_file, world, path="new/a", text="ü\r\nb") == "[new/a written: 2 lines]"
    assert await world.read("new/a") == b"\xc3\xbc\r\nb"
    assert await told(write_file, world, path="new/a", text="") == "[new/a written: 0 lines]"
    assert await world.read("new/a") == b""


async def test_an_edit_replaces_the_piece_and_shows_where(world: Environment) -> None:
    await world.write("a.py", b"".join(b"line %d\n" % n for n in range(1, 21)))
    shown = await told(edit_file, world, path="a.py", old="line 10\nline 11", new="ten\neleven\nmore")
    assert shown.split("\n") == [
        "[a.py edited]",
        *(f"{n:6}\tline {n}" for n in (7, 8, 9)),
        "    10\tten",
        "    11\televen",
        "    12\tmore",
        *(f"{n + 1:6}\tline {n}" for n in (12, 13, 14)),
    ]
    assert (await world.read("a.py")).count(b"\n") == 21


@pytest.mark.parametrize(
    ("data", "old", "new", "after"),
    [
        (b"a\r\nb\r\nc\r\n", "a\nb", "x\ny\nz", b"x\r\ny\r\nz\r\nc\r\n"),
        (b"a\r\nb\r\n", "b", "b\nc", b"a\r\nb\r\nc\r\n"),
        (b"a\r\nb\r\n", "a\r\nb", "b\r\na\r\n", b"b\r\na\r\n\r\n"),
        (b"a\r\nb\nc\n", "b", "x\ny", b"a\r\nx\ny\nc\n"),
        (b"\xff\xfea\xff", "a", "\u00fc", b"\xff\xfe\xc3\xbc\xff"),
        (b"\xef\xbb\xbfa", "a", "", b"\xef\xbb\xbf"),
        (b"no end", " end", "t\n", b"not\n"),
    ],
)
async def test_an_edit_keeps_line_ends_and_bytes_as_they_are(
    data: bytes, old: str, new: str, after: bytes, world: Environment
) -> None:
    await world.write("a", data)
    await told(edit_file, world, path="a", old=old, new=new)
    assert await world.read("a") == after


@pytest.mark.parametrize(
    ("old", "sentence"),
    [
        ("", "old is empty: it must be the piece of the file to replace"),
        ("same", "old and new are the same"),
        ("aa", "old occurs 2 times in a, first in lines 3 and 3"),
        ("x = 1", "old occurs 3 times in a, first in lines 1 and 4; take in more"),
        ("nothing at all", "old does not occur in a, nor anything like it; read the file first"),
    ],
)
async def test_an_edit_of_nothing_or_of_many_places_is_told(
    old: str, sentence: str, world: Environment
) -> None:
    await world.write("a", b"x = 1\n\naaa\nx = 1\nx = 1\n")
    with pytest.raises(ToolFailed, match=sentence):
        await told(edit_file, world, path="a", old=old, new="same")
    assert await world.read("a") == b"x = 1\n\naaa\nx = 1\nx = 1\n"


SOURCE = """import math

def area(radius):
    if radius < 0:
        raise ValueError("negative radius")
    return math.pi * radius ** 2

def length(radius):
    return 2 * math.pi * radius
"""


@pytest.mark.parametrize(
    ("old", "first"),
    [
        ("if radius < 0:\n    raise ValueError('negative radius')", 4),
        ("  def length(radius):\n  return 2 * math.pi * radius", 8),
        ('        raise ValueError("the radius is negative")', 5),
        ("\n\ndef area(radius):\n\tif radius < 0:\n", 3),
    ],
)
async def test_a_near_miss_shows_the_lines_that_were_meant(old: str, first: int, world: Environment) -> None:
    await world.write("a.py", SOURCE.encode())
    with pytest.raises(ToolFailed) as error:
        await told(edit_file, world, path="a.py", old=old, new="")
    said, *lines = str(error.value).split("\n")
    assert said == "old does not occur in a.py; the lines most like it are, after their numbers and a tab:"
    assert lines[0] == f"{first:6}\t{SOURCE.splitlines()[first - 1]}"
    assert len(lines) == len(old.strip("\n").split("\n"))


TEXTS = st.text(alphabet="ab \nü\r", max_size=40)


@given(before=TEXTS, old=TEXTS.filter(bool), after=TEXTS, new=TEXTS)
async def test_an_edit_changes_one_place_or_nothing(before: str, old: str, after: str, new: str) -> None:
    world = Held((before + old + after).encode())
    places = [at for at in range(len(world.data)) if world.data.startswith(old.encode(), at)]
    try:
        await told(edit_file, world, path="a", old=old, new=new)
    except ToolFailed:
        assert world.data == (before + old + after).encode()
        assert len(places) != 1 or old == new or crlf_only(world.data)
    else:
        if not crlf_only((before + old + after).encode()):
            assert len(places) == 1 and world.data == (before + new + after).encode()


def crlf_only(data: bytes) -> bool:
    return data.count(b"\r\n") == data.count(b"\n") > 0


class Held:
    """One file in memory, as far as an edit needs an environment."""

    name, workspace = "held", "/held"

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def read(self, path: str) -> bytes:
        return self.data

    async def write(self, path: str, data: bytes) -> None:
        self.data = data


@pytest.mark.parametrize(
    "of",
    [
        lambda size: ("word " * (size // 5), "other word"),
        lambda size: ("a b\n" * (size // 4), "b a\n" * (size // 4)),
        lambda size: ("\n" * size, "x\n" * (size // 2)),
        lambda size: ("x" * size, "y" * size),
    ],
)
def test_looking_for_a_near_miss_takes_time_linear_in_both_lengths(
    of: Callable[[int], tuple[str, str]], slope: Callable[..., float]
) -> None:
    assert slope(lambda both: near_miss(*both), of, [16_384, 65_536, 262_144, 1_048_576]) <= 1.2


async def test_a_listing_has_folders_and_files_in_order(world: Environment) -> None:
    for path in ("b/c/d/deep", "a", "b/x y", ".hidden", ".git/config", "b/.git/config", "-rf"):
        await world.write(path, b"")
    await world.execute("ln -s / out; mkdir empty")
    assert (await told(list_files, world)).split("\n") == [
        "-rf", ".hidden", "a", "b/", "b/c/", "b/x y", "empty/", "out",
    ]  # fmt: skip
    assert await told(list_files, world, path="b", depth=9) == "b/c/\nb/c/d/\nb/c/d/deep\nb/x y"
    assert (
        await told(list_files, world, path=f"{world.workspace}/empty")
        == f"[{world.workspace}/empty is empty]"
    )


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("a", "a cannot be listed: it is no folder"),
        ("nowhere", "nowhere cannot be listed: there is no such file or folder"),
        ("x", "x cannot be listed: there is no such file or folder"),
        ("out", "out cannot be listed: it leads out of the workspace"),
        ("/", "/ cannot be listed: it leads out of the workspace"),
        ("$(touch y)", "there is no such file or folder"),
        ("-delete", "there is no such file or folder"),
    ],
)
async def test_what_cannot_be_listed_is_told(path: str, sentence: str, world: Environment) -> None:
    await world.write("a", b"")
    await world.execute("ln -s / out")
    with pytest.raises(ToolFailed, match=sentence):
        await told(list_files, world, path=path)
    assert (await world.execute("ls")).output == "a\nout\n"


async def test_a_long_listing_is_cut_in_the_middle(world: Environment) -> None:
    await world.execute("touch $(seq -f 'f%05.0f' 1 2000)")
    lines = (await told(list_files, world)).split("\n")
    assert (lines[0], lines[-1], lines[200]) == ("f00001", "f02000", "[1,600 more left out here]")

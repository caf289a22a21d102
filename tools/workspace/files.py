"""Tools over the files of an environment: read with line numbers, write, edit by an exact piece of text, list."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from surefoot.tools.bounded_text import LONGEST, bounded, one_line
from surefoot.tools.environments.environment import Environment
from surefoot.tools.failed import ToolFailed
from surefoot.tools.function_tool import tool
from surefoot.tools.tool import Observed

from .near_miss import near_miss, numbered
from .normal_forms import normal_path
from .passed import inside

LINES = 400
"""Lines that are read where the model names no number."""
ENTRIES = 400
"""Files and folders that one listing shows."""
AROUND = 3
"""Lines that are shown before and after an edit."""

Path = Annotated[str, Field(description="Relative to the workspace, or absolute and in it.")]


def normal(arguments: Any, workspace: str) -> BaseModel:
    """Return arguments with their path in normal form."""
    made: BaseModel = arguments.model_copy(update={"path": normal_path(arguments.path, workspace)})
    return made


@tool(effect="reads", normal=normal)
async def read_file(
    path: Path,
    world: Environment,
    first_line: Annotated[int, Field(ge=1, description="The first line to show; lines count from 1.")] = 1,
    lines: Annotated[int, Field(ge=1, description="How many lines to show at most.")] = LINES,
) -> str:
    """Show the lines of a text file, each after its number and a tab. Long lines, and the middle of what is too long altogether, are cut."""
    text = _text(path, await world.read(path))
    if not text:
        return f"[{_shown(path)} is empty]"
    every = text.split("\n")
    if every[-1] == "":
        every.pop()
    if first_line > len(every):
        raise ToolFailed(
            f"{_shown(path)} has {_count(len(every), 'line')}, so none from {first_line:,} on can be shown"
        )
    some = every[first_line - 1 : first_line - 1 + lines]
    last = first_line - 1 + len(some)
    said = bounded(numbered([line.removesuffix("\r") for line in some], first_line))
    return (
        said if len(some) == len(every) else f"{said}\n[lines {first_line:,} to {last:,} of {len(every):,}]"
    )


@tool(effect="writes", repeatable=True, normal=normal)
async def write_file(
    path: Path, text: Annotated[str, Field(description="All that the file is to hold.")], world: Environment
) -> str:
    """Write a text file, in place of one that is there; folders that lead to it are made."""
    await world.write(path, text.encode())
    return (
        f"[{_shown(path)} written: {_count(text.count(chr(10)) + (text[-1:] not in ('', chr(10))), 'line')}]"
    )


@tool(effect="writes", repeatable=False, normal=normal)
async def edit_file(
    path: Path,
    old: Annotated[
        str,
        Field(
            description="The piece to replace, exactly as it stands in the file, white space included; it must stand there once only."
        ),
    ],
    new: Annotated[str, Field(description="What to put in its place.")],
    world: Environment,
) -> str:
    """Replace one piece of a text file by another, and show the lines around it."""
    if not old:
        raise ToolFailed(
            "old is empty: it must be the piece of the file to replace; write_file makes a new file"
        )
    if old == new:
        raise ToolFailed("old and new are the same, so there is nothing to change")
    data = await world.read(path)
    wanted, put = _line_ends(data, old, new)
    at = data.find(wanted)
    if at < 0:
        raise ToolFailed(_absent(path, data, old))
    if (second := data.find(wanted, at + 1)) >= 0:
        raise ToolFailed(_ambiguous(path, data, wanted, at, second))
    changed = data[:at] + put + data[at + len(wanted) :]
    await world.write(path, changed)
    return f"[{_shown(path)} edited]\n{_around(changed, at, len(put))}"


@tool(effect="reads", normal=normal)
async def list_files(
    world: Environment,
    path: Path = ".",
    depth: Annotated[int, Field(ge=1, le=20, description="How many levels of folders to show.")] = 2,
) -> Observed:
    """List the files and folders in a folder, folders with a / at the end, without what git keeps for itself."""
    depth = int(depth)
    tree = f'find "$here" -mindepth 1 -maxdepth {depth} -name .git -prune -o -mindepth 1'
    script = inside(path) + (
        f'\n[ -d "$here" ] || {{ echo "it is no folder"; exit 7; }}'
        f"\n{{ {tree} -type d -print | sed 's|$|/|'; {tree} ! -type d -print; }} 2>/dev/null | LC_ALL=C sort"
    )
    ran = await world.execute(script, timeout_s=SEARCH_S)
    found = sorted(line.removeprefix("./") for line in ran.output.split("\n") if line)
    if ran.code != 0:
        raise ToolFailed(f"{_shown(path)} cannot be listed: {one_line(ran.output) or 'it takes too long'}")
    return Observed(_listing(found, ran.left_out) or f"[{_shown(path)} is empty]")


SEARCH_S = 60.0
"""Longest time of one listing."""


def _listing(found: list[str], left_out: int) -> str:
    shown = found
    if len(found) > ENTRIES:
        rest = len(found) - ENTRIES
        shown = [*found[: ENTRIES // 2], f"[{rest:,} more left out here]", *found[-ENTRIES // 2 :]]
    said = bounded("\n".join(shown))
    return f"{said}\n[{left_out:,} bytes of the list were left out, too]" if left_out else said


def _text(path: str, data: bytes) -> str:
    if b"\0" in data[:8192]:
        raise ToolFailed(f"{_shown(path)} is no text: a file of {len(data):,} bytes, some of them 0")
    return data.decode(errors="replace")


def _line_ends(data: bytes, old: str, new: str) -> tuple[bytes, bytes]:
    """Return both pieces with the line ends of a file that has CRLF only: what models are shown of it has none of them."""
    crlf = data.count(b"\r\n")
    if not crlf or crlf != data.count(b"\n") or "\r\n" in old:
        return old.encode(), new.encode()
    return old.replace("\n", "\r\n").encode(), new.replace("\r\n", "\n").replace("\n", "\r\n").encode()


def _absent(path: str, data: bytes, old: str) -> str:
    said = f"old does not occur in {_shown(path)}"
    near = near_miss(_text(path, data).replace("\r\n", "\n"), old)
    return (
        f"{said}; the lines most like it are, after their numbers and a tab:\n{near}"
        if near
        else f"{said}, nor anything like it; read the file first"
    )


def _ambiguous(path: str, data: bytes, wanted: bytes, first: int, second: int) -> str:
    times = max(data.count(wanted), 2)
    lines = [data.count(b"\n", 0, at) + 1 for at in (first, second)]
    return (
        f"old occurs {times:,} times in {_shown(path)}, first in lines {lines[0]:,} and {lines[1]:,};"
        " take in more of the lines around the one to change"
    )


def _around(data: bytes, at: int, size: int) -> str:
    lines = data.decode(errors="replace").replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()  # what comes after the last line end is no line
    first = max(data.count(b"\n", 0, at) - AROUND, 0)
    last = data.count(b"\n", 0, at + size) + AROUND + 1
    return bounded(numbered(lines[first:last], first + 1), LONGEST // 2)


def _shown(path: str) -> str:
    return one_line(path, 200)


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'s' * (number != 1)}"

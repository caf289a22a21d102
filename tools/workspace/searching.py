"""Search in the files of an environment, by its `grep`: it takes linear time where a backtracking engine may take for ever."""

from typing import Annotated

from pydantic import Field

from surefoot.tools.bounded_text import bounded, one_line, quoted
from surefoot.tools.environments.environment import Environment
from surefoot.tools.failed import ToolFailed
from surefoot.tools.function_tool import tool

from .files import Path, normal
from .near_miss import LONGEST_LINE
from .passed import inside, word
from .posix_patterns import extended

MATCHES = 200
"""Lines that one search shows."""
SEARCH_S = 60.0
"""Longest time of one search."""


@tool(effect="reads", normal=normal)
async def search(
    pattern: Annotated[
        str,
        Field(
            description="A regular expression (POSIX extended, with \\d, \\w, \\s and \\b), looked for line by line."
        ),
    ],
    world: Environment,
    path: Path = ".",
    literal: Annotated[bool, Field(description="Whether the pattern is plain text.")] = False,
    ignore_case: Annotated[bool, Field(description="Whether A and a are the same.")] = False,
) -> str:
    """Search the text files of a folder, or one file, and show the lines that match, each after its file and number."""
    wanted = pattern if literal else extended(pattern)
    if not wanted or "\n" in wanted:
        raise ToolFailed(
            f"a pattern is one line that is not empty, not {quoted(pattern)}; lines are searched one by one"
        )
    ran = await world.execute(_script(path, wanted, "F" if literal else "E", ignore_case), timeout_s=SEARCH_S)
    if ran.code is None:
        raise ToolFailed(
            f"the search took longer than {SEARCH_S:g} s and was ended; search in a smaller folder"
        )
    if ran.code != 0:
        raise ToolFailed(
            f"{one_line(path, 200)} cannot be searched for {quoted(pattern)}: {one_line(ran.output)}"
        )
    lines = [line.removeprefix("./") for line in ran.output.split("\n") if line]
    said = bounded("\n".join(lines[:MATCHES])) or "[no line matches]"
    more = len(lines) > MATCHES or ran.left_out
    return f"{said}\n[there are more matches, which are left out]" if more else said


def _script(path: str, pattern: str, kind: str, ignore_case: bool) -> str:
    flags = f"-{kind}{'i' * ignore_case}"
    return f"""{inside(path)}
pattern={word(pattern)}; pattern=${{pattern%x}}
export LC_ALL=C.UTF-8
printf '' | grep {flags} -e "$pattern" || [ $? -eq 1 ] || exit 6
{{ find "$here" -name .git -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 grep -nHI {flags} -e "$pattern"
}} 2>/dev/null | cut -c1-{LONGEST_LINE} | head -n {MATCHES + 1}"""

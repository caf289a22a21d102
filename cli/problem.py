"""What `surefoot solve` is given: a problem in words, from a file or as an outline, and how far it is made smaller."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, get_args

from typer import Argument, Option

from surefoot.agents.planner.outlines import LONGEST_FILE, Outline, read_outline
from surefoot.agents.planner.prompts import LONGEST
from surefoot.errors import BadInput
from surefoot.tools.answers.normal_forms import Kind

STANDARD_INPUT = "-"
MOST_BYTES = 4
"""Of a character in UTF-8."""


@dataclass(frozen=True)
class ProblemOptions:
    """The problem, of which kind its answer is, and how it is made smaller."""

    problem: Annotated[
        str | None,
        Argument(metavar="PROBLEM", help="The problem in plain words; - reads it from standard input."),
    ] = None
    file: Annotated[Path | None, Option(help="Read the problem from this file.")] = None
    outline: Annotated[
        Path | None,
        Option(help="How the problem is made smaller, from `surefoot show JOB --outline`, edited or not."),
    ] = None
    kind: Annotated[
        str,
        Option(
            help=f"Of which kind the answer is: {', '.join(each for each in get_args(Kind) if each != 'code')}."
        ),
    ] = "any"
    votes: Annotated[int, Option(help="Lead that every decision needs.")] = 3
    depth: Annotated[int, Option(help="How often a part may be made smaller again.")] = 5
    image: Annotated[
        list[Path] | None, Option(help="A picture to look at: PNG, JPEG, WebP, GIF or BMP; may be repeated.")
    ] = None
    perceiver: Annotated[
        str | None,
        Option(help="Who looks at the pictures: glance, ocr, or the URL of a server that takes them."),
    ] = None
    rounds: Annotated[int, Option(help="How often the planner may ask what is in the pictures.")] = 2
    caption: Annotated[
        str, Option(help="A question that every whole picture is asked before the planner asks its own.")
    ] = ""
    extend: Annotated[
        bool, Option("--extend", help="Go on with rounds, up to ten, while the planner gets surer.")
    ] = False
    rephrase: Annotated[
        bool, Option("--rephrase", help="Let a question that tells what to see be written anew.")
    ] = False

    def given(self) -> dict[str, Any]:
        """Return it as arguments of `task_of` and of `solve`."""
        outline = self._outline()
        problem = self._problem()
        if problem is None and outline is None:
            raise BadInput("there is nothing to solve: give PROBLEM, --file or --outline")
        return {
            "problem": outline.problem if problem is None and outline is not None else problem,
            "outline": outline,
            "kind": self.kind,
            "votes": self.votes,
            "depth": self.depth,
            "images": self.image or (),
            "perceiver": self.perceiver,
            "rounds": self.rounds,
            "caption": self.caption,
            "extend": self.extend,
            "rephrase": self.rephrase,
        }

    def _outline(self) -> Outline | None:
        return (
            None if self.outline is None else read_outline(_read(self.outline, LONGEST_FILE, "the outline"))
        )

    def _problem(self) -> str | None:
        if self.file is not None and self.problem is not None:
            raise BadInput("a problem comes from one place: give PROBLEM or --file")
        if self.file is not None:
            return _read(self.file, LONGEST, "the problem")
        if self.problem == STANDARD_INPUT:
            return _text(sys.stdin.buffer, LONGEST, "the problem on standard input")
        return self.problem


def _read(path: Path, longest: int, what: str) -> str:
    try:
        with path.open("rb") as file:
            return _text(file, longest, f"{what} in {str(path)!r}")
    except OSError as error:
        raise BadInput(f"{what} cannot be read from {str(path)!r}: {error.strerror}") from None


def _text(file: BinaryIO, longest: int, what: str) -> str:
    """Read a text in UTF-8, and no more of a file without an end than shows that it is too long."""
    found = file.read(MOST_BYTES * longest + 1)
    if len(found) > MOST_BYTES * longest:
        raise BadInput(f"{what} has more than {longest:,} characters")
    try:
        return found.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{what} is no UTF-8: {error.reason} at byte {error.start:,}") from None

"""Problems with known answers, a line of JSON each, in the form of the MAKER paper's companion data (arXiv 2511.09030, appendix F).

    {"id": "mul-2x2-0", "question": "Multiply the following numbers:\\n34 × 56", "answer": "1904"}
    {"id": "sort-3-0", "question": "Sort the following list of integers in ascending order and output ... after '####':\\n[3, 1, 2]", "answer": "[1,2,3]"}

Other fields are passed over, and other questions are asked as they are.  In questions of these two forms the wish for a form of the answer is left out:
our own prompts say how an answer is to end.
"""

import re
from dataclasses import dataclass

from pydantic import TypeAdapter

from surefoot.agents.hygiene.lines import read_json_line
from surefoot.errors import BadInput
from surefoot.printable import encodable
from surefoot.tools.answers.normal_forms import Kind, normal
from surefoot.voting.flags import NotAnAnswer

from .prompts import LONGEST

SHOWN = 100
"""Characters of an id, and of an answer in a sentence."""

_PRODUCT = re.compile(r"\s*+Multiply the following numbers:\s*+(\d++)\s*+[×x*]\s*+(\d++)\s*+", re.ASCII)
_LIST = re.compile(
    r"\s*+Sort the following list of integers in ascending order(?:[.:\s]*+|[^\[\]#]*+\#{4}[^\[\]]*+)(\[[\d\s,-]*+\])\s*+",
    re.ASCII,
)


@dataclass(frozen=True, kw_only=True)
class _Line:
    question: str
    answer: str
    id: str = ""


_LINE: TypeAdapter[_Line] = TypeAdapter(_Line)


@dataclass(frozen=True, slots=True)
class KnownProblem:
    """A problem in plain words, and its answer."""

    id: str
    """As the file names it, at most 100 characters of that; may be empty."""
    problem: str
    answer: str
    """In its normal form."""
    kind: Kind
    """Of which kind the answer is; answers are compared in its normal form."""

    def right(self, answer: str) -> bool:
        """Whether an answer is the known one."""
        try:
            return normal(answer, self.kind) == self.answer
        except NotAnAnswer:
            return False


def read_known(line: str | bytes, kind: Kind = "any") -> KnownProblem:
    """Read a problem from a line of JSON; raises `BadInput`.

    With the kind `any` an answer that is a number or a JSON list is taken for one.  Takes time linear in the line.
    """
    read = read_json_line(_LINE, line, "a problem with its answer")
    problem = in_plain_words(read.question)
    if not problem or len(problem) > LONGEST or not encodable(problem):
        raise BadInput(f"a question is a text of 1 to {LONGEST:,} characters")
    kinds: tuple[Kind, ...] = ("number", "list", "any") if kind == "any" else (kind,)
    for each in kinds:
        try:
            return KnownProblem(read.id[:SHOWN], problem, normal(read.answer, each), each)
        except NotAnAnswer as error:
            why = error
    raise BadInput(f"the answer {read.answer[:SHOWN]!r} is none of kind {kind!r}: {why}")


def in_plain_words(question: str) -> str:
    """Return what is asked, without the wish for a form of the answer where a question is of one of the two known forms."""
    if found := _PRODUCT.fullmatch(question):
        return f"What is {found[1]} * {found[2]}?"
    if found := _LIST.fullmatch(question):
        return f"Sort these numbers, smallest first: {found[1]}"
    return question.strip()

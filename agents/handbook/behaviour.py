"""One entry of the handbook: a name, and an instruction of one sentence.

After "Metacognitive Reuse" (Didolkar et al. 2025, arXiv 2509.13237), where a model looks back at its own reasoning and names what would have
shortened it.  A model wrote the instruction, after reading texts that may be anybody's: so it is refused unless it is one clean line.
"""

import re
from dataclasses import dataclass

from pydantic import ConfigDict, TypeAdapter

from surefoot.agents.hygiene.lines import check_text, one_clean_line, read_json_line
from surefoot.errors import BadInput

PREFIX = "behavior_"
"""What the paper's names begin with, so that an answer can cite one and mean nothing else."""
LONGEST_NAME = 64
SHORTEST, LONGEST = 10, 300
"""Characters of an instruction: a sentence, and no essay."""
MOST_USES = 10**15 - 1
"""What Redis, Lua and JSON all count exactly."""

_NAME = re.compile(r"behavior(?:_[a-z0-9]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """A named instruction for one kind of task.  Raises `BadInput` for what may not go into a prompt.

    The instruction is kept as `surefoot.agents.hygiene.clean` writes it.  One from which hygiene would take something out, be it a hidden
    character, a control token or a role marker, is refused.  Plain words pass, whatever they say: what an instruction does is for
    `surefoot.orchestration.handbook.weigh` to find out.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    """`behavior_` and words of small letters and digits, with underscores between: `behavior_check_the_carry`."""
    instruction: str
    """One line of 10 to 300 characters."""
    task: str
    """The name of the tasks that it is for."""
    uses: int = 0
    """Jobs that had it in their prompts."""
    successes: int = 0
    """How many of these were solved."""
    job: str = ""
    """The job that it was learnt from; empty if a person wrote it."""

    def __post_init__(self) -> None:
        for field in ("name", "instruction", "task", "job"):
            check_text(f"the {field} of a behaviour", getattr(self, field))
        if not _NAME.fullmatch(self.name) or len(self.name) > LONGEST_NAME:
            raise BadInput(
                f"a behaviour's name is {PREFIX!r} and words of a-z and 0-9 with underscores between, at most {LONGEST_NAME} characters, "
                f"not {self.name[:100]!r}"
            )
        if not self.task:
            raise BadInput(f"{self.name} is for tasks of no name: give it the name of a task")
        line = one_clean_line(f"the instruction of {self.name}", self.instruction, SHORTEST, LONGEST)
        object.__setattr__(self, "instruction", line)
        for count in (self.uses, self.successes):
            if type(count) is not int or not 0 <= count <= MOST_USES:
                raise BadInput(
                    f"{self.name}: uses and successes are counts, not {self.uses!r} and {self.successes!r}"
                )
        if self.successes > self.uses:
            raise BadInput(f"{self.name} cannot have {self.successes} successes in {self.uses} uses")


def name_of(text: str) -> str:
    """Return a name in its normal form: `Behaviour: Check the carry` becomes `behavior_check_the_carry`.

    Two names that differ in capitals, in what stands between their words or in the spelling of the prefix are one.
    """
    words = re.findall("[a-z0-9]+", text.lower())
    if words and words[0] in ("behavior", "behaviour"):
        del words[0]
    return PREFIX + "_".join(words)


def read_line(line: str | bytes) -> Behaviour:
    """Read a behaviour from a line of JSON, as `written_line` writes it; raises `BadInput`."""
    return read_json_line(_LINE, line, "a handbook")


def written_line(behaviour: Behaviour) -> str:
    """Write a behaviour as a line of JSON."""
    return _LINE.dump_json(behaviour).decode()


_LINE: TypeAdapter[Behaviour] = TypeAdapter(Behaviour)

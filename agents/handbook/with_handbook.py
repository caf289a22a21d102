"""Any task, with behaviours at the front of its prompts."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from surefoot.agents.tasks.fronted import EVERYWHERE, Fronted
from surefoot.agents.tasks.plain_values import canonical
from surefoot.agents.tasks.task import A, S, Task, Value
from surefoot.errors import BadInput

from .behaviour import Behaviour
from .prompt_block import block


class WithHandbook(Fronted[S, A]):
    """A task whose prompts begin with a block of behaviours; all else is that of the task inside.

        task = WithHandbook(Towers(10), await handbook.find("towers"))
        report = await surefoot.run(task, model=...)

    The behaviours are part of the job, with a digest: `resume` uses those that it began with, whatever the handbook says meanwhile.
    """

    name = "handbook"

    def __init__(
        self,
        task: Task[S, A] | str,
        behaviours: Sequence[Behaviour | tuple[str, str]],
        arguments: Sequence[tuple[str, Any]] = (),
        digest: str = "",
    ) -> None:
        """Wrap a task; or make one again from a journal, by its name, its `arguments` as pairs, the behaviours as pairs, and their digest.

        Raises `BadInput` for two behaviours of one name, and where the digest is not theirs.
        """
        super().__init__(task, arguments)
        found = sorted((_behaviour(each, self.task.name) for each in behaviours), key=lambda each: each.name)
        self.behaviours = tuple(found)
        """In the order of their names."""
        if len({each.name for each in found}) < len(found):
            raise BadInput(
                f"a prompt cites behaviours by name, so give two different names, not {_names(found)}"
            )
        self.digest = digest_of(found)
        """Of names and instructions; the same for the same block."""
        if digest not in ("", self.digest):
            raise BadInput(
                f"the behaviours {_names(found)} have the digest {self.digest}, not {digest!r}: they were edited since"
            )
        self._blocks = {EVERYWHERE: block(found)}

    def _own(self) -> Mapping[str, Value]:
        return {
            "behaviours": tuple((each.name, each.instruction) for each in self.behaviours),
            "digest": self.digest,
        }


def digest_of(behaviours: Sequence[Behaviour]) -> str:
    """Return the BLAKE2b-128 of names and instructions, in hexadecimal."""
    pairs = tuple((each.name, each.instruction) for each in behaviours)
    return blake2b(canonical(pairs), digest_size=16).hexdigest()


def _behaviour(given: Any, task: str) -> Behaviour:
    if isinstance(given, Behaviour):
        return given
    try:
        name, instruction = given
    except (TypeError, ValueError):
        raise BadInput(f"a behaviour is a Behaviour, or a name and an instruction, not {given!r}") from None
    return Behaviour(name=name, instruction=instruction, task=task)


def _names(behaviours: Sequence[Behaviour]) -> str:
    return ", ".join(each.name for each in behaviours) or "none"

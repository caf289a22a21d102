"""Any task, asked in a pattern of reasoning."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from surefoot.agents.tasks.fronted import EVERYWHERE, Fronted
from surefoot.agents.tasks.task import A, S, Task, Value
from surefoot.errors import BadInput

from .instructions import PATTERNS, instruction

SHOWN = 100
"""Characters of what was given, in a sentence."""
ByStage = Mapping[str, str] | Sequence[tuple[str, str]]


class WithPattern(Fronted[S, A]):
    """A task whose prompts begin with the instruction of a pattern; all else is that of the task inside, the form of its answers included.

        WithPattern(Sorting(items, by), "table")                                          in all steps
        WithPattern(Goal(problem), {"propose": "skeleton", "solve": "verification"})      in steps of these stages
        WithPattern(Goal(problem), {"": "chain", "solve": "verification"})                chain in all other stages

    A stage is what a state of the task says in its `stage`, as those of `Goal` and `ActionChain` do.  The names are part of the job, their texts are
    part of surefoot.  Where a task has its answers given at once, with nothing before them, a pattern leaves nothing that can be read.
    """

    name = "pattern"

    def __init__(
        self,
        task: Task[S, A] | str,
        pattern: str | ByStage,
        arguments: Sequence[tuple[str, Any]] = (),
    ) -> None:
        """Wrap a task; or make one again from a journal, by its name, its `arguments` as pairs, and the pattern, by stage as pairs.

        Raises `BadInput` for a pattern that is not there, and a stage that the task does not have.
        """
        super().__init__(task, arguments)
        given = {EVERYWHERE: pattern} if isinstance(pattern, str) else _pairs(pattern)
        if strange := [name for name in given.values() if name not in PATTERNS]:
            raise BadInput(f"a pattern is one of {', '.join(PATTERNS)}, not {strange[0][:SHOWN]!r}")
        if given.keys() - {EVERYWHERE}:
            _check_stages(self.task, given)
        self.pattern: str | tuple[tuple[str, str], ...] = (
            given[EVERYWHERE] if given.keys() == {EVERYWHERE} else tuple(sorted(given.items()))
        )
        """The name, or pairs of a stage and a name."""
        self._blocks = {stage: instruction(name) for stage, name in given.items()}

    def _own(self) -> Mapping[str, Value]:
        return {"pattern": self.pattern}


def _pairs(given: Any) -> dict[str, str]:
    try:
        pairs = tuple(given.items() if isinstance(given, Mapping) else given)
        found = dict(pairs)
    except (TypeError, ValueError):
        pairs, found = (), {}
    if not found or not all(isinstance(each, str) for each in (*found, *found.values())):
        raise BadInput(
            f"patterns by stage are names, such as {{'solve': 'table'}}, not {repr(given)[:SHOWN]}"
        )
    if len(found) < len(pairs):
        raise BadInput(f"a stage has one pattern: give each once, not {repr(pairs)[:SHOWN]}")
    return found


def _check_stages(task: Task[Any, Any], given: Mapping[str, str]) -> None:
    """Refuse a stage that would never come."""
    state = task.start()
    if not hasattr(state, "stage"):
        raise BadInput(f"task {task.name!r} has no stages: give one pattern for all of its steps")
    stages = _stages(type(state))
    if stages and (strange := sorted(given.keys() - {EVERYWHERE, *stages})):
        raise BadInput(
            f"task {task.name!r} has the stages {', '.join(stages)}, and not {strange[0][:SHOWN]!r}"
        )


def _stages(state: type[Any]) -> tuple[str, ...]:
    """Return the stages that states of this type may be at, where it says so by a Literal."""
    own = getattr(state, "stage", None)
    said, name = (own.fget, "return") if isinstance(own, property) else (state, "stage")
    try:
        kind = get_type_hints(said).get(name)
    except Exception:  # a name that is only there for type checkers
        return ()
    return tuple(map(str, get_args(kind))) if get_origin(kind) is Literal else ()

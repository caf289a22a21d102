"""A part of a task: what lies between two states that the task knows in advance."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from surefoot.errors import BadInput

from .around import Around
from .failures import said
from .guarded import guarded
from .optional import Acts, Splits
from .task import A, S, Task, Value

MOST_PARTS = 10_000


class PartOf(Around[S, A]):
    """One of several parts of a task, which begins at the state that the task knows to be there.

        PartOf(Towers(10), part=3, parts=8)      the fourth eighth of its 1,023 steps

    Parts are numbered from 0, and as long as one another but for a step.  A part is solved if it ends at the state that the next one begins at, the
    last one if the task inside is.  Steps are asked and answered as they are without parts.
    """

    name = "part"

    def __init__(
        self,
        task: Task[S, A] | str,
        part: int,
        parts: int,
        arguments: Sequence[tuple[str, Any]] = (),
    ) -> None:
        """Take a part of a task; or make one again from a journal, by the task's name, its `arguments` as pairs, and the part.

        Raises `BadInput` for a task that knows no states in advance, or acts on the world, and for numbers that cannot be.
        """
        super().__init__(task, arguments)
        self._total = _splitting(self.task, parts)
        if type(part) is not int or not 0 <= part < parts:
            raise BadInput(f"of {parts} parts there is no part {part!r}: they are numbered from 0")
        self.parts = parts
        self._be(part)

    def _be(self, part: int) -> None:
        self.part = part
        self.first, self.end = (number * self._total // self.parts for number in (part, part + 1))
        """Steps of the task inside: the first of this part, and the first one after it."""

    def other(self, part: int) -> "PartOf[S, A]":
        """Return another part of the same task, which is not looked at once more: there may be thousands."""
        found: PartOf[S, A] = object.__new__(type(self))
        found.__dict__ |= self.__dict__
        found._be(part)
        return found

    def start(self) -> S:
        """The state before the first step of the part."""
        return self._boundary(self.first)

    def solved(self, state: S) -> bool:
        """Whether the next part begins here; of the last one, whether the task is solved."""
        if self.part < self.parts - 1:
            return state == self._boundary(self.end)
        return self.task.finished(state) and self.task.solved(state)

    def steps(self) -> int:
        """Those of this part."""
        return self.end - self.first

    def _boundary(self, step: int) -> S:
        return cast(Splits[S], self.task).boundary(step) if step else self.task.start()

    def _own(self) -> Mapping[str, Value]:
        return {"part": self.part, "parts": self.parts}

    def _own_optional(self) -> Mapping[str, Any]:
        """A part is not split again."""
        return {"boundary": None}


def parts_of(task: Task[S, A], parts: int) -> list[PartOf[S, A]]:
    """Return the parts of a task; raises `BadInput` for one that cannot have so many, `TaskFailed` and `NotPlain` where it fails at a boundary."""
    if not _splitting(task, parts):
        return []
    first = PartOf(task, 0, parts)
    found = [first, *map(first.other, range(1, parts))]
    whole = guarded(task)
    checked = cast(Splits[S], whole)
    if (begin := checked.boundary(0)) != (start := whole.start()):
        raise BadInput(f"task {task.name!r} starts at {said(start)}, and its `boundary(0)` is {said(begin)}")
    for each in found:
        checked.boundary(each.first)
    return found


def _splitting(task: Task[Any, Any], parts: Any) -> int:
    """Return how many steps a task has that can be done in so many parts."""
    if type(parts) is not int or not 1 <= parts <= MOST_PARTS:
        raise BadInput(f"a job has 1 to {MOST_PARTS:,} parts, not {parts!r}")
    if isinstance(task, Acts):
        raise BadInput(
            f"task {task.name!r} acts on the world, whose state nobody knows in advance: run it as one job"
        )
    if not isinstance(task, Splits):
        raise BadInput(
            f"task {task.name!r} knows no states in advance: run it as one job, or give it a method `boundary`"
        )
    total = guarded(task).steps()
    if total is None:
        raise BadInput(f"task {task.name!r} does not say how many steps it takes: run it as one job")
    if parts > total:
        raise BadInput(
            f"task {task.name!r} has {total:,} steps, and so no {parts:,} parts: give at most {total:,}"
        )
    return total

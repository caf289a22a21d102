"""Any task, with something around it: a block of text at the front of its prompts, or the bounds of a part of it.

Each kind is a class with a name of its own, so that a journal says what a job was begun with: the name and the arguments of the task inside, and
what the kind itself is made of.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple, overload

from surefoot.errors import BadInput, SurefootError
from surefoot.models.base import Prompt

from .catalogue import made, task_named
from .optional import OPTIONAL, check_optional
from .task import A, S, Task, Value

AROUND = ("task", "arguments")
"""What the spec of each begins with: the task inside."""


class Around(Task[S, A]):
    """A task around another, which is as that one is but for what the kind says.

    What it is made of is part of the job: `resume` uses what it began with.  It takes the task inside as it would without what is around: by its
    name alone, or, for one of your own, `task=Countdown`.
    """

    inner: ClassVar[type[Task[Any, Any]] | None] = None
    """The class of the task inside, where its name alone does not lead to it."""

    def __init__(self, task: Task[S, A] | str, arguments: Sequence[tuple[str, Any]] = ()) -> None:
        """Wrap a task; or make one again from a journal, by its name and its `arguments` as pairs."""
        self.task: Task[S, A] = task if isinstance(task, Task) else self._again(task, arguments)
        """The task inside."""
        check_optional(self.task)
        self.views, self.flags, self.sampling = self.task.views, self.task.flags, self.task.sampling
        self.state_codec, self.answer_codec = self.task.state_codec, self.task.answer_codec
        own = self._own_optional()
        for name in frozenset[str]().union(*OPTIONAL):
            if (has := getattr(self.task, name, None)) is not None:
                setattr(self, name, own.get(name, has))

    @abstractmethod
    def _own(self) -> Mapping[str, Value]:
        """Return the arguments beside the task inside that make this again."""

    def _own_optional(self) -> Mapping[str, Any]:
        """Return what takes the place of optional methods that the task inside has; None in the place of one that is not to be had."""
        return {}

    @classmethod
    def around(cls, inner: type[Task[Any, Any]]) -> "type[Around[Any, Any]]":
        """Return this class for tasks of the class `inner`, which a journal's arguments can then make again."""
        return type(cls.__name__, (cls,), {"inner": inner, "__doc__": cls.__doc__})

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it travel to another process by what it is made of."""
        kind: Any = type(self) if self.inner is None else type(self).__base__
        return partial(kind, **self._own()), (self.task,)

    def spec(self) -> Mapping[str, Value]:
        """The task inside, and what is around it."""
        return {"task": self.task.name, "arguments": tuple(self.task.spec().items()), **self._own()}

    def ask(self, state: S, view: int = 0) -> Prompt:
        """As the task inside."""
        return self.task.ask(state, view)

    def start(self) -> S:
        """As the task inside."""
        return self.task.start()

    def read(self, text: str, state: S, view: int = 0) -> A:
        """As the task inside."""
        return self.task.read(text, state, view)

    def advance(self, state: S, answer: A) -> S:
        """As the task inside."""
        return self.task.advance(state, answer)

    def finished(self, state: S) -> bool:
        """As the task inside."""
        return self.task.finished(state)

    def solved(self, state: S) -> bool:
        """As the task inside."""
        return self.task.solved(state)

    def steps(self) -> int | None:
        """As the task inside."""
        return self.task.steps()

    def audit(self, state: S, answer: A) -> str | None:
        """As the task inside."""
        return self.task.audit(state, answer)

    def show(self, answer: A) -> str:
        """As the task inside."""
        return self.task.show(answer)

    def _again(self, name: Any, arguments: Sequence[tuple[str, Any]]) -> Task[S, A]:
        if not isinstance(name, str):
            raise BadInput(f"a {self.name} is put around a task, or one known by its name, not {name!r}")
        kind = self.inner or task_named(name)
        if kind.name != name:
            raise BadInput(f"the {self.name} is around task {name!r}, not {kind.name!r}")
        return made(kind, dict(arguments))


class OuterLayer(NamedTuple):
    """What a journal says of a task that is put around another."""

    kind: type[Around[Any, Any]]
    task: str
    """The name of the task inside."""
    spec: Mapping[str, Any]
    """Its arguments."""


def outer_layer(task: str, spec: Mapping[str, Any]) -> OuterLayer | None:
    """Return what is around a task, given its name and its arguments in a journal; None if nothing is, or nothing that is known here."""
    if not spec.keys() >= {*AROUND}:
        return None
    try:
        kind = task_named(task)
        inside = dict(spec["arguments"])
    except (SurefootError, TypeError, ValueError):
        return None
    return OuterLayer(kind, str(spec["task"]), inside) if issubclass(kind, Around) else None


@overload
def surrounded(task: Task[Any, Any], name: str, spec: Mapping[str, Any]) -> Task[Any, Any]: ...


@overload
def surrounded(task: type[Task[Any, Any]], name: str, spec: Mapping[str, Any]) -> type[Task[Any, Any]]: ...


def surrounded(
    task: Task[Any, Any] | type[Task[Any, Any]], name: str, spec: Mapping[str, Any]
) -> Task[Any, Any] | type[Task[Any, Any]]:
    """Return a task, or its class, with all that a job of this name and these arguments has around it.

    As it is, where it has that already or the job has nothing.
    """
    layer = None if task.name == name else outer_layer(name, spec)
    if layer is None:
        return task
    inside = surrounded(task, layer.task, layer.spec)
    if isinstance(inside, type):
        return layer.kind.around(inside)
    own = {key: value for key, value in spec.items() if key not in AROUND}
    return made(layer.kind, {"task": inside, **own})


def innermost(task: Task[Any, Any]) -> Task[Any, Any]:
    """Return the task inside all that is around it; the task itself if nothing is."""
    while isinstance(task, Around):
        task = task.task
    return task

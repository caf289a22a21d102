"""Any task with a block of text at the front of its prompts: behaviours, what a user likes, a pattern of reasoning.

Each kind is a class with a name of its own, so that a journal says what a job was begun with: the name and the arguments of the task inside, and
what the kind itself is made of.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, ClassVar, NamedTuple, overload

from surefoot.errors import BadInput, SurefootError
from surefoot.models.base import Message, Prompt

from .catalogue import made, task_named
from .optional import OPTIONAL, AsksAhead, Fits, Shortens, check_optional
from .task import A, S, Task, Value

BYTES_PER_TOKEN = 3
"""Fewer than in most prose: a block takes no more tokens than this says."""
EVERYWHERE = ""
"""The stage of a block that is for all other stages."""
AROUND = ("task", "arguments")
"""What the spec of each begins with: the task inside."""


class Fronted(Task[S, A]):
    """A task whose prompts begin with a block of text; all else is that of the task inside.

    The block stands in the system message, before what the task says there, or before a prompt that is one text.  A prompt with pictures stays as
    it is: whoever looks at them is told nothing but where to look.

    What it is made of is part of the job: `resume` uses what it began with.  It takes the task inside as it would without the block: by its name
    alone, or, for one of your own, `task=Countdown`.
    """

    inner: ClassVar[type[Task[Any, Any]] | None] = None
    """The class of the task inside, where its name alone does not lead to it."""
    _blocks: Mapping[str, str]
    """What stands in front of a prompt, by what the state says its `stage` is; the constructor of each kind sets it."""

    def __init__(self, task: Task[S, A] | str, arguments: Sequence[tuple[str, Any]] = ()) -> None:
        """Wrap a task; or make one again from a journal, by its name and its `arguments` as pairs."""
        self.task: Task[S, A] = task if isinstance(task, Task) else self._again(task, arguments)
        """The task inside."""
        check_optional(self.task)
        self._before = lru_cache(maxsize=16)(_put_before)  # a prompt that grows is looked at once
        self.views, self.flags, self.sampling = self.task.views, self.task.flags, self.task.sampling
        self.state_codec, self.answer_codec = self.task.state_codec, self.task.answer_codec
        self._take_over(self.task)

    @abstractmethod
    def _own(self) -> Mapping[str, Value]:
        """Return the arguments beside the task inside that make this again."""

    @classmethod
    def around(cls, inner: type[Task[Any, Any]]) -> "type[Fronted[Any, Any]]":
        """Return this class for tasks of the class `inner`, which a journal's arguments can then make again."""
        return type(cls.__name__, (cls,), {"inner": inner, "__doc__": cls.__doc__})

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it travel to another process by what it is made of."""
        kind: Any = type(self) if self.inner is None else type(self).__base__
        return partial(kind, **self._own()), (self.task,)

    def spec(self) -> Mapping[str, Value]:
        """The task inside, and what stands in front of its prompts."""
        return {"task": self.task.name, "arguments": tuple(self.task.spec().items()), **self._own()}

    def ask(self, state: S, view: int = 0) -> Prompt:
        """Put the block in front of what the task asks, unless it shows pictures."""
        return self._fronted(self.task.ask(state, view), state)

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

    def _take_over(self, inner: Task[S, A]) -> None:
        """Have of what is optional what the task inside has; what makes prompts of its own gets the block, too."""
        own: dict[str, Callable[..., Any]] = {}
        if isinstance(inner, Shortens):
            kind: Any = type(self)
            own["short"] = lambda: kind(inner.short(), **self._own())
        if isinstance(inner, AsksAhead):
            own["ask_ahead"] = lambda state, *steps: (
                (asked := inner.ask_ahead(state, *steps)) and self._fronted(asked, state)
            )
        if isinstance(inner, Fits):
            own["fit"] = lambda context: inner.fit(max(1, context - self._tokens))
        for name in frozenset[str]().union(*OPTIONAL):
            if (has := getattr(inner, name, None)) is not None:
                setattr(self, name, own.get(name, has))

    @property
    def _tokens(self) -> int:
        """As many as the longest block takes, or more."""
        return -(-max(len(block.encode()) for block in self._blocks.values()) // BYTES_PER_TOKEN)

    def _fronted(self, prompt: Prompt, state: S) -> Prompt:
        block = self._blocks.get(EVERYWHERE)
        if self._blocks.keys() != {EVERYWHERE}:  # else a task of one's own may call anything its stage
            stage = getattr(state, "stage", EVERYWHERE)
            block = self._blocks.get(stage, block) if isinstance(stage, str) else block
        if not block:
            return prompt
        if isinstance(prompt, str):
            return f"{block}\n\n{prompt}"
        if not (isinstance(prompt, tuple) and prompt and isinstance(prompt[0], Message)):
            return prompt  # no prompt at all, which the engine says in its own words
        if any(getattr(each, "pictures", ()) for each in prompt):
            return prompt  # a perceiver says what it sees, and gets no goal and no history
        first, *rest = prompt
        if first.role == "system":
            return self._before(block, first), *rest
        return Message("system", block), first, *rest

    def _again(self, name: Any, arguments: Sequence[tuple[str, Any]]) -> Task[S, A]:
        if not isinstance(name, str):
            raise BadInput(f"a {self.name} is put before a task, or one known by its name, not {name!r}")
        kind = self.inner or task_named(name)
        if kind.name != name:
            raise BadInput(f"the {self.name} is around task {name!r}, not {kind.name!r}")
        return made(kind, dict(arguments))


class OuterLayer(NamedTuple):
    """What a journal says of a task that is put around another."""

    kind: type[Fronted[Any, Any]]
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
    return OuterLayer(kind, str(spec["task"]), inside) if issubclass(kind, Fronted) else None


@overload
def fronted(task: Task[Any, Any], name: str, spec: Mapping[str, Any]) -> Task[Any, Any]: ...


@overload
def fronted(task: type[Task[Any, Any]], name: str, spec: Mapping[str, Any]) -> type[Task[Any, Any]]: ...


def fronted(
    task: Task[Any, Any] | type[Task[Any, Any]], name: str, spec: Mapping[str, Any]
) -> Task[Any, Any] | type[Task[Any, Any]]:
    """Return a task, or its class, with all the blocks that a job of this name and these arguments has in front of its prompts.

    As it is, where it has them already or the job has none.
    """
    layer = None if task.name == name else outer_layer(name, spec)
    if layer is None:
        return task
    inside = fronted(task, layer.task, layer.spec)
    if isinstance(inside, type):
        return layer.kind.around(inside)
    own = {key: value for key, value in spec.items() if key not in AROUND}
    return made(layer.kind, {"task": inside, **own})


def innermost(task: Task[Any, Any]) -> Task[Any, Any]:
    """Return the task inside all blocks; the task itself if it has none."""
    while isinstance(task, Fronted):
        task = task.task
    return task


def _put_before(block: str, first: Message) -> Message:
    return first._replace(content="\n\n".join((block, first.content)))

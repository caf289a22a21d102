"""Any task, with behaviours at the front of its prompts."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, ClassVar

from surefoot.agents.tasks.catalogue import made, task_named
from surefoot.agents.tasks.optional import OPTIONAL, AsksAhead, Fits, Shortens, check_optional
from surefoot.agents.tasks.plain_values import canonical
from surefoot.agents.tasks.task import A, S, Task, Value
from surefoot.errors import BadInput
from surefoot.models.base import Message, Prompt

from .behaviour import Behaviour
from .prompt_block import block

BYTES_PER_TOKEN = 3
"""Fewer than in most prose: the block takes no more tokens than this says."""


class WithHandbook(Task[S, A]):
    """A task whose prompts begin with a block of behaviours; all else is that of the task inside.

        task = WithHandbook(Towers(10), await handbook.find("towers"))
        report = await surefoot.run(task, model=...)

    The block stands in the system message, before what the task says there, or before a prompt that is one text.  A prompt with pictures stays as
    it is: whoever looks at them is told nothing but where to look.

    The behaviours are part of the job, with a digest: `resume` uses those that it began with, whatever the handbook says meanwhile.  It takes the
    task inside as it would without a handbook: by its name alone, or, for one of your own, `task=Countdown`.
    """

    name = "handbook"
    inner: ClassVar[type[Task[Any, Any]] | None] = None
    """The class of the task inside, where its name alone does not lead to it."""

    def __init__(
        self,
        task: Task[S, A] | str,
        behaviours: Sequence[Behaviour | tuple[str, str]],
        arguments: tuple[tuple[str, Any], ...] = (),
        digest: str = "",
    ) -> None:
        """Wrap a task; or make one again from a journal, by its name, its `arguments` as pairs, the behaviours as pairs, and their digest.

        Raises `BadInput` for two behaviours of one name, and where the digest is not theirs.
        """
        self.task: Task[S, A] = task if isinstance(task, Task) else self._again(task, arguments)
        """The task inside."""
        check_optional(self.task)
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
        self._block = block(found)
        self._front = lru_cache(maxsize=16)(self._put_in_front)
        self.views, self.flags, self.sampling = self.task.views, self.task.flags, self.task.sampling
        self.state_codec, self.answer_codec = self.task.state_codec, self.task.answer_codec
        self._take_over(self.task)

    @classmethod
    def around(cls, inner: type[Task[Any, Any]]) -> "type[WithHandbook[Any, Any]]":
        """Return this class for tasks of the class `inner`, which a journal's arguments can then make again."""
        return type(cls.__name__, (cls,), {"inner": inner, "__doc__": cls.__doc__})

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it travel to another process by what it is made of."""
        return WithHandbook, (self.task, self.behaviours)

    def spec(self) -> Mapping[str, Value]:
        """The task inside, and the very behaviours."""
        return {
            "task": self.task.name,
            "arguments": tuple(self.task.spec().items()),
            "behaviours": tuple((each.name, each.instruction) for each in self.behaviours),
            "digest": self.digest,
        }

    def ask(self, state: S, view: int = 0) -> Prompt:
        """Put the block in front of what the task asks, unless it shows pictures."""
        return self._fronted(self.task.ask(state, view))

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
            own["short"] = lambda: type(self)(inner.short(), self.behaviours)
        if isinstance(inner, AsksAhead):
            own["ask_ahead"] = lambda *given: (asked := inner.ask_ahead(*given)) and self._fronted(asked)
        if isinstance(inner, Fits):
            tokens = -(-len(self._block.encode()) // BYTES_PER_TOKEN)
            own["fit"] = lambda context: inner.fit(max(1, context - tokens))
        for name in frozenset[str]().union(*OPTIONAL):
            if (has := getattr(inner, name, None)) is not None:
                setattr(self, name, own.get(name, has))

    def _fronted(self, prompt: Prompt) -> Prompt:
        if not self._block:
            return prompt
        if isinstance(prompt, str):
            return f"{self._block}\n\n{prompt}"
        if not (isinstance(prompt, tuple) and prompt and isinstance(prompt[0], Message)):
            return prompt  # no prompt at all, which the engine says in its own words
        if any(getattr(each, "pictures", ()) for each in prompt):
            return prompt  # a perceiver says what it sees, and gets no goal and no history
        first, *rest = prompt
        if first.role == "system":
            return self._front(first), *rest
        return Message("system", self._block), first, *rest

    def _put_in_front(self, first: Message) -> Message:
        return first._replace(content="\n\n".join((self._block, first.content)))

    def _again(self, name: Any, arguments: Sequence[tuple[str, Any]]) -> Task[S, A]:
        if not isinstance(name, str):
            raise BadInput(f"a handbook is put before a task, or one known by its name, not {name!r}")
        kind = self.inner or task_named(name)
        if kind.name != name:
            raise BadInput(f"the handbook is around task {name!r}, not {kind.name!r}")
        return made(kind, dict(arguments))


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

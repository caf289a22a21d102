"""A task as the engine calls it: what it raises says where it happened, and what it returns can be written down."""

import random
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import is_
from typing import Any, TypeVar

from pydantic_core import from_json, to_json

from surefoot.errors import BadInput, SurefootError
from surefoot.models.base import Message, Prompt, Sampling
from surefoot.printable import encodable, printable
from surefoot.voting.flags import Flag, NotAnAnswer, Reading, RedFlag, screen
from surefoot.voting.samples import Sample

from .codec import Codec
from .plain_values import instead, is_plain, is_short, part_not_plain
from .task import Case, Task, Value

S = TypeVar("S", bound=Hashable)
A = TypeVar("A", bound=Hashable)

SHOWN = 200
"""Characters of a sample, a value or a task's own words in a sentence."""
MOST_STEPS = 2**53
"""What Redis counts exactly."""
_WHOLE_HINT = "leave it out, or replace it: no server takes it"
_READERS = ("read", "read_ahead")
_READ_HINT = (
    "a `read` that finds no answer in a text raises surefoot.NotAnAnswer, which throws the sample away"
)
_TUPLE_HINT = (
    "named tuples come back from the journal as tuples: unpack them, or give the task a codec, surefoot.Typed"
)


class TaskFailed(SurefootError):
    """A method of a task raised something, which is the `__cause__`, or returned what it must not.

    What is decided is safe: mend the task, then resume the job.
    """

    def __init__(self, task: str, method: str, why: str, hint: str = "", sample: str | None = None) -> None:
        super().__init__(task, method, why, hint, sample)
        self.task, self.method, self.why, self.hint = task, method, why, hint
        self.sample = sample
        """The text that was read, printable and cut; None if it was not about one."""
        self.step: int | None = None
        """The step at which it happened; None before the first one."""

    @property
    def sentence(self) -> str:
        """Where it happened, what, with which sample, and what to do."""
        where = "" if self.step is None else f" at step {self.step}"
        said = f"task {self.task!r} failed in `{self.method}`{where}: {self.why}"
        if self.sample is not None:
            said += f"; the sample was '{self.sample}'"
        return f"{said}; {self.hint}" if self.hint else said


class NotPlain(TaskFailed, BadInput):
    """A task returned a value that would not come back from the journal as it was."""


class Guarded(Task[S, A]):
    """A task as it is, but that what goes wrong in it comes as `TaskFailed`, and values that are not plain as `NotPlain`.

    Errors of surefoot's own pass, `NotAnAnswer` from a reader among them, which is how a sample is thrown away.
    """

    def __init__(self, task: Task[S, A]) -> None:
        self._task = task
        if not (isinstance(getattr(task, "name", None), str) and task.name):
            raise BadInput(f"{type(task).__name__} has no name: give the task's class a `name`, a text")
        if not encodable(task.name):
            raise BadInput(f"the task's name {task.name!r} holds half a character: give it another one")
        self.name = task.name  # type: ignore[misc]
        self._look_at("views", _count(task.views) and task.views > 0, "a whole number from 1 on")
        self._look_at("flags", isinstance(task.flags, Flag), "red flags such as surefoot.voting.PAPER")
        self._look_at("sampling", isinstance(task.sampling, Sampling), "a surefoot.Sampling")
        self.views, self.flags, self.sampling = task.views, task.flags, task.sampling
        self.state_codec, self.answer_codec = task.state_codec, task.answer_codec

    def _look_at(self, attribute: str, right: bool, what: str) -> None:
        """Refuse an attribute of another type, before anything is spent."""
        if not right:
            raise TaskFailed(
                self.name, attribute, f"it is {said(getattr(self._task, attribute))}", f"give {what}"
            )

    # What a run calls at every step: each of these costs as little as it can.

    def ask(self, state: S, view: int = 0) -> Prompt:
        """Render; a prompt is a text or a tuple of messages."""
        try:
            prompt = self._task.ask(state, view)
        except Exception as error:
            raise self._failed("ask", error) from error
        if type(prompt) is str:
            if not (prompt.isascii() or encodable(prompt)):
                raise TaskFailed(self.name, "ask", f"returned half a character: {said(prompt)}", _WHOLE_HINT)
        elif why := _no_chat(prompt):
            raise TaskFailed(self.name, "ask", why, "a prompt is a text or a tuple of surefoot.Message")
        return prompt

    def read(self, text: str, state: S, view: int = 0) -> A:
        """Read, and look whether the answer can be written down."""
        try:
            answer = self._task.read(text, state, view)
        except NotAnAnswer:
            raise
        except Exception as error:
            raise self._failed("read", error, text) from error
        if answer is None:
            raise TaskFailed(self.name, "read", "returned None", _READ_HINT, _cut(text))
        if self.answer_codec is not None or not (is_plain(answer) and is_short(answer)):
            self._check("read", answer, self.answer_codec)
        return answer

    def advance(self, state: S, answer: A) -> S:
        """Advance, and look whether the state can be written down."""
        try:
            after = self._task.advance(state, answer)
        except Exception as error:
            raise self._failed("advance", error) from error
        if self.state_codec is not None or not (
            _parts_of(answer, after) or (is_plain(after) and is_short(after))
        ):
            self._check("advance", after, self.state_codec)
        return after

    def finished(self, state: S) -> bool:
        """Ask."""
        try:
            return self._task.finished(state)
        except Exception as error:
            raise self._failed("finished", error) from error

    def acts(self, state: S) -> bool:
        """Ask."""
        try:
            return self._task.acts(state)
        except Exception as error:
            raise self._failed("acts", error) from error

    def audit(self, state: S, answer: A) -> str | None:
        """Let it look at a decided step."""
        try:
            return self._task.audit(state, answer)
        except Exception as error:
            raise self._failed("audit", error) from error

    # What is called now and then.

    def spec(self) -> Mapping[str, Value]:
        """Return the arguments, names and plain values."""
        with self._naming("spec"):
            spec = self._task.spec()
        if not isinstance(spec, Mapping):
            raise TaskFailed(self.name, "spec", f"returned a {type(spec).__name__}", "it returns a mapping")
        for name, value in spec.items():
            self._check(f"spec()[{name!r}]", value, None)
        return spec

    def start(self) -> S:
        """Return the first state, which can be written down."""
        with self._naming("start"):
            state = self._task.start()
        self._check("start", state, self.state_codec)
        return state

    def solved(self, state: S) -> bool:
        """Ask."""
        with self._naming("solved"):
            return self._task.solved(state)

    def steps(self) -> int | None:
        """Ask."""
        with self._naming("steps"):
            steps = self._task.steps()
        if steps is not None and not (_count(steps) and 0 <= steps <= MOST_STEPS):
            raise TaskFailed(
                self.name,
                "steps",
                f"returned {said(steps)}",
                "it returns a whole number, or None if it is unknown",
            )
        return steps

    def case(self, rng: random.Random) -> Case[S, A]:
        """Draw a case whose state, and answer if it is known, can be written down."""
        with self._naming("case"):
            case = self._task.case(rng)
        if not isinstance(case, Case):
            raise TaskFailed(
                self.name, "case", f"returned a {type(case).__name__}", "it returns a surefoot.Case"
            )
        self._check("case", case.state, self.state_codec)
        if case.answer is not None:
            self._check("case", case.answer, self.answer_codec)
        return case

    def show(self, answer: A) -> str:
        """Write an answer."""
        with self._naming("show"):
            return self._task.show(answer)

    async def act(self, step: int, state: S, answer: A) -> None:
        """Act."""
        with self._naming("act"):
            await self._task.act(step, state, answer)

    def guess(self, state: S, after: S, view: int = 0) -> str | None:
        """Guess."""
        return self._task.guess(state, after, view)

    def short(self) -> Task[S, Any] | None:
        """Return the task's shorter form as it is: for drafts, which cast no ballot."""
        return self._task.short()

    def ask_ahead(self, state: S, steps: int) -> Prompt | None:
        """Ask for several steps."""
        return self._task.ask_ahead(state, steps)

    def read_ahead(self, text: str, state: S) -> Sequence[S]:
        """Read several steps."""
        return self._task.read_ahead(text, state)

    def gist(self, state: S, after: S) -> Hashable | None:
        """Return what recurs."""
        return self._task.gist(state, after)

    def unfold(self, state: S, gist: Hashable) -> S | None:
        """Follow a gist."""
        return self._task.unfold(state, gist)

    @contextmanager
    def _naming(self, method: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise self._failed(method, error) from error

    def _failed(self, method: str, error: Exception, sample: str | None = None) -> Exception:
        return task_failure(self.name, method, error, sample)

    def _check(self, method: str, value: Any, codec: Codec[Any] | None) -> None:
        """Raise `NotPlain` for a value that would not come back as it is."""
        plain = value
        if codec is not None:
            with self._naming(f"{type(codec).__name__}.encode"):
                plain = codec.encode(value)
                back = codec.decode(plain)
                same = type(back) is type(value) and back == value
            if not same:
                why = f"returned {said(value)}, which its codec reads back as {said(back)}"
                raise NotPlain(self.name, method, why, "a resumed run would go on with another value")
        if not is_plain(plain):
            place, part = part_not_plain(plain)
            at = f" at {_cut(place)}" if place else ""
            raise NotPlain(
                self.name, method, f"returned a {type(part).__name__}{at}: {said(part)}", instead(part)
            )
        try:
            text = to_json(plain)
        except ValueError as error:
            raise NotPlain(
                self.name, method, f"returned a text that cannot be written down: {error}"
            ) from error
        try:
            from_json(text)
        except ValueError as error:
            why = f"returned a value that cannot be read back: {said(error, str)}"
            raise NotPlain(
                self.name, method, why, "write a number of thousands of digits as a text"
            ) from error
        try:
            hash(value)
        except Exception as error:
            hint = "states and answers are counted: make them frozen"
            why = f"returned what cannot be hashed: {said(error, str)}"
            raise NotPlain(self.name, method, why, hint) from error


def guarded(task: Task[S, A]) -> Task[S, A]:
    """Return the task as the engine calls it."""
    return task if isinstance(task, Guarded) else Guarded(task)


def task_failure(task: str, method: str, error: Exception, sample: str | None = None) -> Exception:
    """Return what is to be raised for an exception from a task: `TaskFailed`, or the error itself if it is surefoot's own."""
    if isinstance(error, SurefootError) and not isinstance(error, NotAnAnswer):
        return error
    hint = _READ_HINT if method in _READERS else ""
    if isinstance(error, NotAnAnswer):
        hint = "only a reader raises NotAnAnswer"
    elif isinstance(error, AttributeError) and "'tuple' object" in said(error, str):
        hint = _TUPLE_HINT
    words = _cut(f"{type(error).__name__}: {said(error, str)}")
    return TaskFailed(task, method, words, hint, None if sample is None else _cut(sample))


def screened(task: Task[S, A], sample: Sample, state: S, view: int) -> A | RedFlag:
    """Turn a sample into a ballot or a red flag; what the task's flags raise comes as `TaskFailed`, too."""
    reading: Reading[A] = Reading(sample, lambda text: task.read(text, state, view), state)
    try:
        return screen(reading, task.flags)
    except SurefootError:
        raise
    except Exception as error:
        raise task_failure(task.name, "flags", error, sample.text) from error


def _parts_of(answer: object, after: object) -> bool:
    """Whether a state is made of the very parts of an answer, which have been looked at already."""
    if type(answer) is tuple and type(after) is tuple and len(after) <= len(answer):
        return all(map(is_, after, answer))
    return False


def said(value: object, words: Callable[[Any], str] = repr) -> str:
    """Return a stranger's object in its own words, cut; it may have none, as a number of a million digits has."""
    try:
        return _cut(words(value))
    except Exception as error:
        return f"a {type(value).__name__} that cannot be shown ({type(error).__name__})"


def _no_chat(prompt: object) -> str:
    """Say why this is no chat to be sent; empty if it is one."""
    if not isinstance(prompt, tuple):
        return f"returned a {type(prompt).__name__}"
    if not prompt:
        return "returned an empty tuple"
    for message in prompt:
        if not isinstance(message, Message):
            return f"returned a tuple with a {type(message).__name__}: {said(message)}"
        if not all(isinstance(part, str) and (part.isascii() or encodable(part)) for part in message):
            return f"returned a message that is no text: {said(message)}"
    return ""


def _count(value: object) -> bool:
    return type(value) is int


def _cut(text: str) -> str:
    shown = printable(text[: SHOWN + 1])
    return shown if len(text) <= SHOWN else f"{shown[:SHOWN]}..."

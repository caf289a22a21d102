"""A task as the engine calls it: what it raises says where it happened, and what it returns can be written down."""

import random
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from inspect import signature
from itertools import compress
from operator import is_, is_not
from typing import Any, TypeVar

from pydantic_core import from_json, to_json

from surefoot.errors import BadInput, SurefootError
from surefoot.models.base import Message, Prompt, Sampling
from surefoot.printable import encodable
from surefoot.tools.pictures.picture import Picture
from surefoot.voting.flags import Flag, NotAnAnswer, Reading, RedFlag, screen
from surefoot.voting.samples import Sample

from .codec import Codec, written
from .failures import READ_HINT, NotPlain, TaskFailed, cut, said, task_failure
from .optional import (
    Acts,
    Calibrates,
    Case,
    Classifies,
    DecisionNeeded,
    Fits,
    Guesses,
    Measures,
    Offers,
    Rephrases,
    Reuses,
    Splits,
    Stakes,
    check_optional,
)
from .plain_values import comes_back, instead, is_plain, part_not_plain
from .task import A, S, Task, Value

T = TypeVar("T")

MOST_STEPS = 2**53
"""What Redis counts exactly."""
KIND_CHARACTERS = 40
"""The longest name of a kind of steps; counters are kept by it."""
_WHOLE_HINT = "leave it out, or replace it: no server takes it"


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
        self._of_answers = getattr(task.state_codec, "of_answers", False) is True
        self._asked: Prompt = ()
        self.show = partial(self._called, "show", task.show)  # type: ignore[method-assign]
        self.solved = partial(self._decided, "solved", task.solved)  # type: ignore[method-assign]
        # Of what is optional it has what the task has: whoever looks by isinstance finds the same, and the rest costs nothing.
        check_optional(task)
        if isinstance(task, Calibrates):
            self.case = partial(self._case, task.case)
        if isinstance(task, Acts):
            self.acts, self.act = partial(self._decided, "acts", task.acts), partial(self._act, task.act)
        if isinstance(task, Stakes):
            self.lead = partial(self._lead, task.lead)
        if isinstance(task, Classifies):
            self.step_kind = partial(self._step_kind, task.step_kind)
        if isinstance(task, Offers):
            self.offer = partial(self._called, "offer", task.offer)
        if isinstance(task, Measures):
            self.measured = partial(self._measured, task.measured)
        if isinstance(task, Fits):
            self.fit = partial(self._called, "fit", task.fit)
        if isinstance(task, Rephrases):
            self.paraphrases = partial(self._paraphrases, task.paraphrases)
        if isinstance(task, Reuses):
            self.reusable = partial(self._decided, "reusable", task.reusable)
        if isinstance(task, Guesses):
            self.guess = task.guess
        if isinstance(task, Splits):
            self.boundary = partial(self._boundary, task.boundary)

    def _look_at(self, attribute: str, right: bool, what: str) -> None:
        """Refuse an attribute of another type, before anything is spent."""
        if not right:
            why = f"it is {said(getattr(self._task, attribute))}"
            raise TaskFailed(self.name, attribute, why, f"give {what}")

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
        elif why := _no_chat(prompt, self._asked):
            raise TaskFailed(self.name, "ask", why, "a prompt is a text or a tuple of surefoot.Message")
        else:
            self._asked = prompt
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
            raise TaskFailed(self.name, "read", "returned None", READ_HINT, cut(text))
        if self.answer_codec is not None or not (is_plain(answer) and comes_back(answer)):
            self._check("read", answer, self.answer_codec)
        return answer

    def advance(self, state: S, answer: A) -> S:
        """Advance, and look whether the state can be written down."""
        try:
            after = self._task.advance(state, answer)
        except Exception as error:
            raise self._failed("advance", error) from error
        if after is None:
            raise TaskFailed(self.name, "advance", "returned None", "it returns the state after the step")
        if not self._of_answers and (
            self.state_codec is not None
            or not (
                (self.answer_codec is None and _parts_of(answer, after))
                or (is_plain(after) and comes_back(after))
            )
        ):
            self._check("advance", after, self.state_codec)
        return after

    def sealed(self, state: S) -> Any:
        """Return what a snapshot holds of a state, which comes back as it is."""
        if self._of_answers:  # else it has been looked at when it was made
            self._check("advance", state, self.state_codec)
        return written(self.state_codec, state)

    def finished(self, state: S) -> bool:
        """Ask."""
        try:
            over = self._task.finished(state)
        except Exception as error:
            raise self._failed("finished", error) from error
        return over if over is True or over is False else self._decided("finished", lambda: over)

    def audit(self, state: S, answer: A) -> str | None:
        """Let it look at a decided step."""
        try:
            why: Any = self._task.audit(state, answer)
        except Exception as error:
            raise self._failed("audit", error) from error
        if not (why is None or isinstance(why, str)):
            hint = "it returns what is wrong, a text, or None"
            raise TaskFailed(self.name, "audit", f"returned {said(why)}", hint)
        return why

    # What is called now and then.

    def spec(self) -> Mapping[str, Value]:
        """Return the arguments, names and plain values."""
        spec = self._called("spec", self._task.spec)
        if not isinstance(spec, Mapping):
            raise TaskFailed(self.name, "spec", f"returned a {type(spec).__name__}", "it returns a mapping")
        try:
            signature(type(self._task)).bind_partial(**spec)
        except TypeError as error:
            hint = "it names arguments that make the task again"
            raise TaskFailed(self.name, "spec", f"{type(self._task).__name__}(...) {error}", hint) from error
        for name, value in spec.items():
            self._check(f"spec()[{name!r}]", value, None)
        return spec

    def start(self) -> S:
        """Return the first state, which can be written down."""
        state = self._called("start", self._task.start)
        self._check("start", state, self.state_codec)
        return state

    def steps(self) -> int | None:
        """Ask."""
        steps = self._called("steps", self._task.steps)
        if steps is not None and not (_count(steps) and 0 <= steps <= MOST_STEPS):
            hint = "it returns a whole number from 0 on, or None if it is unknown"
            raise TaskFailed(self.name, "steps", f"returned {said(steps)}", hint)
        return steps

    def _case(self, draw: Callable[[random.Random], Any], rng: random.Random) -> Case[S, A]:
        """Draw a case whose state, and answer if it is known, can be written down."""
        case = self._called("case", draw, rng)
        if not isinstance(case, Case):
            why = f"returned a {type(case).__name__}"
            raise TaskFailed(self.name, "case", why, "it returns a surefoot.Case")
        self._check("case", case.state, self.state_codec)
        if case.answer is not None:
            self._check("case", case.answer, self.answer_codec)
        return case

    async def _act(self, act: Callable[..., Awaitable[A]], *given: Any) -> A:
        """Act, and look whether what the world answered can be written down."""
        try:
            answer = await act(*given)
        except DecisionNeeded:
            raise
        except Exception as error:
            raise self._failed("act", error) from error
        if answer is None:
            raise TaskFailed(self.name, "act", "returned None", "it returns what the world answered")
        self._check("act", answer, self.answer_codec)
        return answer

    def _lead(self, lead: Callable[[A], int], answer: A) -> int:
        votes = self._called("lead", lead, answer)
        if not (_count(votes) and votes > 0):
            raise TaskFailed(
                self.name, "lead", f"returned {said(votes)}", "it returns a whole number from 1 on"
            )
        return votes

    def _step_kind(self, step_kind: Callable[[S], str], state: S) -> str:
        name = self._called("step_kind", step_kind, state)
        if not (
            isinstance(name, str) and len(name) <= KIND_CHARACTERS and name.isprintable() and encodable(name)
        ):
            hint = f"it returns a short printable name, of no more than {KIND_CHARACTERS} characters"
            raise TaskFailed(self.name, "step_kind", f"returned {said(name)}", hint)
        return name

    def _paraphrases(self, paraphrases: Callable[[], int]) -> int:
        views = self._called("paraphrases", paraphrases)
        if not (_count(views) and views >= 0):
            hint = "it returns a whole number from 0 on"
            raise TaskFailed(self.name, "paraphrases", f"returned {said(views)}", hint)
        return views

    def _measured(self, measured: Callable[[A, int], A], answer: A, prompt_tokens: int) -> A:
        """Let an answer keep how long its prompt was, and look whether it is still the same and can be written down."""
        found = self._called("measured", measured, answer, prompt_tokens)
        if found is not answer:
            if found != answer:
                why = f"returned {said(found)} for {said(answer)}"
                raise TaskFailed(self.name, "measured", why, "what was voted for has to be equal to it")
            self._check("measured", found, self.answer_codec)
        return found

    def _boundary(self, boundary: Callable[[int], S], step: int) -> S:
        """Return a state that a part may begin at, which can be written down."""
        state = self._called("boundary", boundary, step)
        self._check("boundary", state, self.state_codec)
        return state

    def _called(self, method: str, call: Callable[..., T], *given: Any) -> T:
        try:
            return call(*given)
        except Exception as error:
            raise self._failed(method, error) from error

    def _decided(self, method: str, call: Callable[..., Any], *given: Any) -> bool:
        answer = self._called(method, call, *given)
        if answer is True or answer is False:
            return answer
        raise TaskFailed(self.name, method, f"returned {said(answer)}", "it returns True or False")

    def _failed(self, method: str, error: Exception, sample: str | None = None) -> Exception:
        return task_failure(self.name, method, error, sample)

    def _check(self, method: str, value: Any, codec: Codec[Any] | None) -> None:
        """Raise `NotPlain` for a value that would not come back as it is."""
        plain = value
        if codec is not None:
            plain, back, same = self._called(f"{type(codec).__name__}.encode", _there_and_back, codec, value)
            if not same:
                why = f"returned {said(value)}, which its codec reads back as {said(back)}"
                raise NotPlain(self.name, method, why, "a resumed run would go on with another value")
        if not is_plain(plain):
            place, part = part_not_plain(plain)
            where = f" at {cut(place)}" if place else ""
            why = f"returned a {type(part).__name__}{where}: {said(part)}"
            raise NotPlain(self.name, method, why, instead(part))
        try:
            text = to_json(plain)
        except ValueError as error:
            why = f"returned a text that cannot be written down: {error}"
            raise NotPlain(self.name, method, why) from error
        try:
            from_json(text)
        except ValueError as error:
            why = f"returned a value that cannot be read back: {said(error, str)}"
            hint = "write a number of thousands of digits as a text"
            raise NotPlain(self.name, method, why, hint) from error
        try:
            hash(value)
        except Exception as error:
            hint = "states and answers are counted: make them frozen"
            why = f"returned what cannot be hashed: {said(error, str)}"
            raise NotPlain(self.name, method, why, hint) from error


def guarded(task: Task[S, A]) -> Guarded[S, A]:
    """Return the task as the engine calls it."""
    return task if isinstance(task, Guarded) else Guarded(task)


def outcome_of(task: Task[S, A], sample: Sample, state: S, number: int) -> A | RedFlag:
    """Turn sample `number` of a step into a ballot or a red flag; what the task's flags raise comes as `TaskFailed`, too."""
    view = number % task.views
    reading: Reading[A] = Reading(sample, lambda text: task.read(text, state, view), state)
    try:
        return screen(reading, task.flags)
    except SurefootError:
        raise
    except Exception as error:
        raise task_failure(task.name, "flags", error, sample.text) from error


def _there_and_back(codec: Codec[Any], value: object) -> tuple[Any, Any, bool]:
    """Return what is written for a value, what is read back, and whether that is the same."""
    plain = codec.encode(value)
    back = codec.decode(plain)
    return plain, back, bool(type(back) is type(value) and back == value)


def _parts_of(answer: object, after: object) -> bool:
    """Whether a state is made of the very parts of an answer, which have been looked at already."""
    if type(answer) is tuple and type(after) is tuple and len(after) <= len(answer):
        return all(map(is_, after, answer))
    return False


def _no_chat(prompt: object, before: Prompt) -> str:
    """Say why this is no chat to be sent; empty if it is one.  The messages of the chat `before` have been looked at already."""
    if not isinstance(prompt, tuple):
        return f"returned a {type(prompt).__name__}"
    if not prompt:
        return "returned an empty tuple"
    # A conversation grows at its end, and may hold thousands of messages: those that are the very same need no second look.
    for message in (*compress(prompt, map(is_not, prompt, before)), *prompt[len(before) :]):
        if not isinstance(message, Message):
            return f"returned a tuple with a {type(message).__name__}: {said(message)}"
        for part in (message.role, message.content):
            if not (isinstance(part, str) and (part.isascii() or encodable(part))):
                return f"returned a message that is no text: {said(message)}"
        if message.pictures and not (
            isinstance(message.pictures, tuple)
            and all(isinstance(each, Picture) for each in message.pictures)
        ):
            return f"returned a message with what is no surefoot.Picture: {said(message)}"
    return ""


def _count(value: object) -> bool:
    return type(value) is int

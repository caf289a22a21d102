"""What goes wrong in a task, in sentences: where it happened, what, and what to do."""

from collections.abc import Callable
from typing import Any

from surefoot.errors import BadInput, SurefootError
from surefoot.printable import printable
from surefoot.voting.flags import NotAnAnswer

SHOWN = 200
"""Characters of a sample, a value or a task's own words in a sentence."""
READ_HINT = (
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


def task_failure(task: str, method: str, error: Exception, sample: str | None = None) -> Exception:
    """Return what is to be raised for an exception from a task: `TaskFailed`, or the error itself if it is surefoot's own."""
    if isinstance(error, SurefootError) and not isinstance(error, NotAnAnswer):
        return error
    hint = READ_HINT if method == "read" else ""
    if isinstance(error, NotAnAnswer):
        hint = "only a reader raises NotAnAnswer"
    elif isinstance(error, AttributeError) and "'tuple' object" in said(error, str):
        hint = _TUPLE_HINT
    words = cut(f"{type(error).__name__}: {said(error, str)}")
    return TaskFailed(task, method, words, hint, None if sample is None else cut(sample))


def said(value: object, words: Callable[[Any], str] = repr) -> str:
    """Return a stranger's object in its own words, cut; it may have none, as a number of a million digits has."""
    try:
        return cut(words(value))
    except Exception as error:
        return f"a {type(value).__name__} that cannot be shown ({type(error).__name__})"


def cut(text: str) -> str:
    """Return a text as it may be shown, and no longer than a sentence can bear."""
    shown = printable(text[: SHOWN + 1])
    return shown if len(text) <= SHOWN else f"{shown[:SHOWN]}..."

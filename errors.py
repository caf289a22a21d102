"""The one tree of errors: each message says what happened and what to do next."""

from typing import Any


class SurefootError(Exception):
    """Base of everything that surefoot raises on purpose; `str(error)` is one sentence for a person."""

    exit_code = 1
    job = ""
    """The job that it has ended, if any; `str(error)` names it, and resuming that job goes on."""

    @property
    def sentence(self) -> str:
        """What happened, without the job's name."""
        return super().__str__()

    def __str__(self) -> str:
        sentence = self.sentence
        return sentence if not self.job or self.job in sentence else f"{sentence} (job {self.job!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it be copied, and sent to another process, whatever its class wants to be made from."""
        return _again, (type(self), self.args), self.__dict__ or None


class BadInput(SurefootError, ValueError):
    """A value from outside that cannot be used; the message quotes it."""

    exit_code = 2


def _again(kind: type[SurefootError], args: tuple[Any, ...]) -> SurefootError:
    """Make an error once more, without the making: an exception by itself is called with its `args`, which often are a sentence only."""
    return kind.__new__(kind, *args)

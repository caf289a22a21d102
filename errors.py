"""The one tree of errors: each message says what happened and what to do next."""


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


class BadInput(SurefootError, ValueError):
    """A value from outside that cannot be used; the message quotes it."""

    exit_code = 2

"""The one tree of errors: each message says what happened and what to do next."""


class SurefootError(Exception):
    """Base of everything that surefoot raises on purpose; `str(error)` is one sentence for a person."""

    exit_code = 1


class BadInput(SurefootError, ValueError):
    """A value from outside that cannot be used; the message quotes it."""

    exit_code = 2

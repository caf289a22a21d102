"""The failure of a call."""

from surefoot.errors import SurefootError


class ToolFailed(SurefootError):
    """A call came to nothing; its one sentence is told to the model, and the run goes on."""

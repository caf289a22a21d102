"""How an agent's run stands or has ended: one of a small, named set, in every report and for every SWE-bench instance."""

from enum import StrEnum


class ExitStatus(StrEnum):
    """Why a run is over, or where it stands; whether its work is right is another question."""

    # The endings of an agent, see `Ending`.
    SUBMITTED = "submitted", "The agent handed in its work."
    ANSWERED = "answered", "The agent ended with an answer and called nothing more."
    TURN_LIMIT = "turn_limit", "The turns of the budget are spent."
    ERROR_LIMIT = "error_limit", "In too many turns in a row every call came to nothing."
    REFUSED = "refused", "A person did not allow a call and ended the run."
    OVERTHINKING = "overthinking", "The monitor's policy ended the run."
    # What stopped it in order.
    TOKEN_LIMIT = "token_limit", "The next step would have taken more tokens than the budget has left."
    COST_LIMIT = "cost_limit", "The next step would have cost more than the budget has left."
    TIME_LIMIT = "time_limit", "The next step would have taken more time than the budget has left."
    STOPPED = "stopped", "The run was interrupted, or has taken the steps that it may."
    # How its job stands.
    RUNNING = "running", "Another runner is at work on it."
    ASKING = "asking", "The run waits for a person's decision."
    STALLED = "stalled", "A turn's election used up its samples undecided."
    FAILED = "failed", "The record of the run failed its audit."
    CANCELLED = "cancelled", "A person cancelled the run."
    # What keeps a SWE-bench instance from being worked on.
    MODEL_UNAVAILABLE = "model_unavailable", "The model could not be reached, or refused to answer."
    FAILED_SETUP = "failed_setup", "The repository or the environment could not be prepared."
    UNDECIDED = "undecided", "The candidates of a stage were spent, and none was decided for."
    UNVERIFIED = "unverified", "The patch that won did something else when it was tried once more."
    LOST_WORKSPACE = "lost_workspace", "The workspace is gone, or is no longer a git repository."

    sentence: str
    """What happened, for a person."""

    def __new__(cls, value: str, sentence: str = "") -> "ExitStatus":
        """Make a member of its name in files and its sentence."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    @property
    def resumable(self) -> bool:
        """Whether more budget, a decision or another try can take the same run further."""
        return self not in _FINAL


_FINAL = frozenset(
    (
        ExitStatus.SUBMITTED,
        ExitStatus.ANSWERED,
        ExitStatus.ERROR_LIMIT,
        ExitStatus.REFUSED,
        ExitStatus.OVERTHINKING,
        ExitStatus.UNDECIDED,
        ExitStatus.UNVERIFIED,
        ExitStatus.FAILED,
        ExitStatus.CANCELLED,
    )
)

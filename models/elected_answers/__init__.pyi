"""What `surefoot.models.elected_answers` offers."""

from .ballots import Ballot, Ballots, answer_form
from .bounds import Equality, check_that_samples_differ, check_vote
from .clients import Elected, elect
from .offering import offer_of, tool_schema
from .vote import AnswerStalled, Poll, Vote

__all__ = [
    "AnswerStalled",
    "Ballot",
    "Ballots",
    "Elected",
    "Equality",
    "Poll",
    "Vote",
    "answer_form",
    "check_that_samples_differ",
    "check_vote",
    "elect",
    "offer_of",
    "tool_schema",
]

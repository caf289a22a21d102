"""What a job has seen in pictures, and how sure each look is: read from its journal."""

from dataclasses import dataclass

from redis.asyncio import Redis

from surefoot.agents.perception.looking_state import Captioned, Described, LookingState, Observation
from surefoot.agents.tasks.codec import read_back
from surefoot.agents.tasks.guarded import guarded
from surefoot.models.connect import AND

from .journal.jobs import load
from .reporting import records
from .task_of_job import Given, task_again


@dataclass(frozen=True, slots=True)
class VotedObservation(Observation):
    """What was seen, where it comes from, and how sure it is."""

    votes: int
    """Looks that saw it; more than those of a lead where others saw something else, and one where nobody voted."""
    against: int
    """Looks that saw something else."""
    flagged: int
    """Looks that were thrown away."""
    model: str | None
    """Who looked; None if the job was taken up with another perceiver, since no step keeps which of them it was."""


async def looks(redis: Redis, job: str, task: Given = None) -> tuple[VotedObservation, ...]:
    """Return the observations of a job of `surefoot.agents.perception.Looking`, in the order in which they were made.

    Those of its state, each with what the record of its step has.  `task` as for `state`, and so is what is raised.
    """
    known = await load(redis, job)
    own = guarded(task_again(known, task))
    state: LookingState = read_back(own.state_codec, known.start.state)
    perceivers = {name.rpartition(AND)[2] for name in known.models}
    model = perceivers.pop() if len(perceivers) == 1 else None
    found = []
    async for record in records(redis, known):
        answer = read_back(own.answer_codec, record.answer)
        state = own.advance(state, answer)
        if isinstance(answer, Described | Captioned):
            seen = state.observations[-1]
            flagged = sum(record.flags.values())
            found.append(
                VotedObservation(
                    seen.query,
                    seen.digest,
                    seen.answer,
                    votes=record.votes,
                    against=record.against,
                    flagged=flagged,
                    model=model,
                )
            )
    return tuple(found)

"""The rung that looks ahead: which candidate's next steps stay valid under the task's own check."""

from collections.abc import Iterable
from dataclasses import replace

from surefoot.agents.tasks.failures import TaskFailed
from surefoot.agents.tasks.task import A, S
from surefoot.orchestration.engine.climbing import HardStep
from surefoot.orchestration.engine.hypothetical import hypothetically
from surefoot.orchestration.engine.open_step import StepStalled, Terms

_RAISED: str | None = "it raised"
"""What is taken for the word of a check that cannot look at an answer."""


async def only_survivor(
    hard: HardStep[S, A], terms: Terms[S, A], candidates: Iterable[A], ahead: int
) -> A | None:
    """Return the one of several candidates whose next `ahead` steps stay valid; None if it is not exactly one."""
    found = [*candidates]
    if len(found) < 2:
        return None  # nothing to compare it with
    surviving = [each for each in found if await _survives(hard, terms, each, ahead)]
    return surviving[0] if len(surviving) == 1 else None


async def _survives(hard: HardStep[S, A], terms: Terms[S, A], candidate: A, ahead: int) -> bool:
    """Whether this answer and the steps that follow from it pass the task's check, and none of those stalls."""
    task, acting = terms.task, terms.acting
    # However divided its ballots are: it is looked for what cannot be, not for what is hard.
    undivided = replace(terms, dissent=None)
    state, answer, steps = hard.state, candidate, task.steps()
    for step in range(hard.step, hard.step + ahead + 1):
        if hypothetically(_RAISED, task.audit, state, answer) is not None:
            return False
        after = hypothetically(None, task.advance, state, answer)
        if after is None:
            return False
        state = after
        if hypothetically(True, task.finished, state):
            return hypothetically(False, task.solved, state)
        if steps is not None and step + 1 >= steps:
            return False  # it would be over, and is not finished
        if step == hard.step + ahead or (
            # BARRIER: the world is not touched for what may never be.
            acting is not None and hypothetically(True, acting.acts, state)
        ):
            return True
        try:
            answer = (await hard.hold(undivided, state, step + 1)).verdict.winner
        except (StepStalled, TaskFailed):
            return False
    return True

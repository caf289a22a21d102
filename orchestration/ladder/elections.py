"""The rungs that hold an election on the step itself: more votes, further views, another model.

The step is known to be hard, so that dissent no longer ends the election; instead the winner needs twice the votes of the runner-up, and another
election that bears it out (see `Climber`).
"""

from copy import copy
from dataclasses import replace

from surefoot.agents.tasks.optional import Rephrases
from surefoot.agents.tasks.task import A, S, Task
from surefoot.models.base import Prompt
from surefoot.orchestration.engine.climbing import HardStep
from surefoot.orchestration.engine.open_step import Terms

from .rung_rules import Pooled, Twice, with_lead


def more_votes(hard: HardStep[S, A], terms: Terms[S, A], more: int) -> Terms[S, A]:
    """Ask again, with twice the lead, and a limit so many times as large."""
    return _terms(hard, terms, 2 * _lead(hard), terms.limit * more)


def further_views(hard: HardStep[S, A], terms: Terms[S, A]) -> Terms[S, A] | None:
    """Ask in the further views of the task; None if it has none."""
    task = terms.task
    views = task.paraphrases() if isinstance(task, Rephrases) else 0
    if not views:
        return None
    alone = _terms(hard, terms, _lead(hard), terms.limit)
    assert isinstance(alone.rule, Twice)
    return replace(alone, task=_in_further_views(task, views), rule=Pooled(alone.rule, hard.stall.tally))


def another_model(hard: HardStep[S, A], terms: Terms[S, A], k: int | None) -> Terms[S, A]:
    """Let another model decide, with a lead of its own."""
    return _terms(hard, terms, k or _lead(hard), terms.limit)


def _lead(hard: HardStep[S, A]) -> int:
    """Return the lead that decides the step if nobody dissents."""
    return hard.terms.rule_of(hard.state, hard.step).wanted({})


def _terms(hard: HardStep[S, A], terms: Terms[S, A], lead: int, limit: int) -> Terms[S, A]:
    rule = Twice(with_lead(terms.rule_of(hard.state, hard.step), lead))
    return replace(terms, rule=rule, limit=max(limit, lead), dissent=None)


def _in_further_views(task: Task[S, A], views: int) -> Task[S, A]:
    """Return the task in its further views alone, numbered from 0."""
    first, other = task.views, copy(task)

    def ask(state: S, view: int = 0) -> Prompt:
        return task.ask(state, first + view)

    def read(text: str, state: S, view: int = 0) -> A:
        return task.read(text, state, first + view)

    other.views, other.ask, other.read = views, ask, read  # type: ignore[method-assign]
    return other

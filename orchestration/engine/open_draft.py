"""From what a user types to a draft that proposes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from surefoot.agents.tasks.catalogue import task_of
from surefoot.agents.tasks.optional import Shortens
from surefoot.agents.tasks.task import S, Task
from surefoot.errors import BadInput
from surefoot.models.base import Model
from surefoot.models.connect import open_model
from surefoot.models.embedded import PEBBLES

from .drafts import AskAhead, Draft, Rollout
from .recall import Recall
from .speculation import Speculation

WORDS = ("leading", "short", "ahead", "recall")


@asynccontextmanager
async def open_draft(
    speculation: Speculation | None, task: Task[S, Any], model: Model
) -> AsyncIterator[Speculation | None]:
    """Make the draft that a speculation names; one that is a `Draft` already is taken as it is.

        leading                    the leading ballot of the step before, as without a draft
        short                      the same model's short answers, for a task that `Shortens`
        ahead                      several steps in one call of the same model, for one that `AsksAhead`
        recall                     what followed in the run's own past, for one that `Recurs`
        pebble-numpy, http://...   another model, rolled ahead

    Another model is asked without a key; one that wants one is a `Rollout` over an `OpenAIModel` of your own.
    Raises `BadInput` if the task does not offer what the draft needs, `ModelUnavailable` if no server answers there.
    """
    if speculation is None or not isinstance(speculation.draft, str):
        yield speculation
    elif speculation.draft in WORDS:
        yield replace(speculation, draft=_made(speculation.draft, task, model))
    else:
        if not speculation.draft.startswith(("http://", "https://", *PEBBLES)):
            raise BadInput(
                f"a draft is {', '.join(map(repr, WORDS))} or a model's address, not {speculation.draft!r}"
            )
        # Without the key of the main model: it is not this server's to see.
        async with open_model(speculation.draft) as other:
            draft = Rollout(_readable(task, speculation.draft), other)
            yield replace(speculation, draft=draft)


def _made(word: str, task: Task[S, Any], model: Model) -> Draft[S] | None:
    if word == "leading":
        return None
    if word == "recall":
        return Recall(task)
    if word == "ahead":
        return AskAhead(task, model)
    if not isinstance(task, Shortens):
        raise BadInput(f"task {task.name!r} has no short answer: choose another draft, or write `short`")
    return Rollout(task.short(), model)


def _readable(task: Task[S, Any], address: str) -> Task[S, Any]:
    """Return the task as another model is to be asked: short if it can be, in pebble's own style for pebble."""
    if address in PEBBLES and "style" in task.spec():
        task = task_of(task.name, {**task.spec(), "style": "compact"})
    return task.short() if isinstance(task, Shortens) else task

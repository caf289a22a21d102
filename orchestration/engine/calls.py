"""The calls of the model: each asks for samples of several steps, and may fail because of one of them."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from surefoot.agents.tasks.failures import said
from surefoot.models.base import Ask, Model, ModelUnavailable
from surefoot.voting.samples import Sample, Usage

from .background import Failed, background, cancel_once, failure_of
from .depth import Pace
from .ledger import Ledger
from .open_step import ASKED, READY, OpenStep

T = TypeVar("T")

Placed = tuple[OpenStep[Any, Any], int, Ask]
"""A step, the number of one of its samples, and the ask for it."""

Unanswered = dict[int, Placed]
"""What a call has still to answer, by position in the call."""


class Calls:
    """Sends asks, casts the samples that come back, and takes care of calls that fail.

    `touched` are the steps that something has happened to; `changed` is called then, and when a call has ended.
    With `every_ballot` each sample touches its step, otherwise only one that leaves something to do.
    `failed` is called with what ends the run.
    """

    def __init__(
        self, model: Model, ledger: Ledger, *, every_ballot: bool, changed: Callable[[], None], failed: Failed
    ) -> None:
        self.pace = Pace()
        self.touched: list[OpenStep[Any, Any]] = []
        self._model, self._ledger = model, ledger
        self._every_ballot, self._changed, self._failed = every_ballot, changed, failed
        self.owed: dict[asyncio.Task[None], Unanswered] = {}
        """What each call has still to answer, by its task."""

    def send(self, asked: Sequence[Placed]) -> None:
        """Ask for all of these samples in one call of the model; the ledger has them already."""
        unanswered = dict(enumerate(asked))
        task = background(self._draw(unanswered, self._ledger.in_flight, time.monotonic()), self._failed)
        self.owed[task] = unanswered
        task.add_done_callback(self._ended)

    def cancel_in_vain(self) -> None:
        """Cancel the calls whose samples would all count for nothing."""
        for task, unanswered in self.owed.items():
            # One without anything to answer is about to end by itself, and its time is still to be taken.
            if unanswered and not any(_awaited(asked) for asked in unanswered.values()):
                cancel_once(task)

    async def _draw(self, unanswered: Unanswered, in_flight: int, since: float) -> None:
        asked = list(unanswered.values())
        try:
            async with aclosing(self._model.sample([ask for *_, ask in asked])) as samples:
                async for position, sample in samples:
                    step, number, _ = claim(self._model, unanswered, position, sample)
                    self._ledger.arrive(sample)  # ACCOUNTS
                    # NO BALLOT: from the job's own model alone.  If the step is not ASKED it came too late to count.
                    if step.status is ASKED:
                        self._cast(step, number, sample)
                    else:
                        self._changed()  # WAKE-UP: there is room for one sample more
            check_all_answered(self._model, unanswered, len(asked))
        except (Exception, asyncio.CancelledError) as error:
            failure = failure_of(error, f"a call of {self._model.name}")
            # Steps that were squashed meanwhile count: one of them may be to blame.
            alone = len({step for step, *_ in asked}) == 1
            # ASKED, too: all of this call was answered, so its next round may be out in another call.
            if alone and not unanswered and asked[0][0].status in (READY, ASKED):
                # ITS TURN: a model that fails after its last answer has failed, as it has without a pipeline.
                asked[0][0].fail(failure)
                self.touched.append(asked[0][0])
            self._split(unanswered, alone, failure)
        else:
            self.pace.learn(in_flight, time.monotonic() - since)

    def _cast(self, step: OpenStep[Any, Any], number: int, sample: Sample) -> None:
        try:
            step.cast(number, sample)
        except Exception as failure:
            # ITS TURN: the step has failed, not the call; a task may fail on a state that never comes true.
            step.fail(failure)
        if step.status is not ASKED or step.disputed or self._every_ballot:
            self.touched.append(step)
        self._changed()  # WAKE-UP

    def _split(self, unanswered: Unanswered, alone: bool, failure: Exception) -> None:
        """Ask in smaller calls for what a failed one has left open; `alone`: it asked for one step only.

        If a step was asked for alone, in its turn, its failure is the run's, as it is without a pipeline.
        """
        awaited = sorted(filter(_awaited, unanswered.values()), key=lambda asked: asked[0].step)
        self._ledger.in_flight -= len(unanswered)
        unanswered.clear()  # ACCOUNTS: so that `_ended` takes nothing off once more
        steps = list(dict.fromkeys(step for step, *_ in awaited))
        if not steps:
            return  # every step that it still owed samples was squashed, or decided without them
        first = steps[0]
        if len(steps) == 1 and not first.due:
            # ITS TURN: it is asked for once more then, on a state that is certain.
            first.refuse([number for _, number, _ in awaited])
            self._ledger.asked -= len(awaited)
            self.touched.append(first)
        elif len(steps) == 1 and alone:
            self._failed(failure)
        else:
            # PROGRESS: the step whose turn it is goes alone, even if no other is left, since one that was squashed
            # meanwhile may have been to blame.  Those ahead are halved: so few calls find the one to blame.
            last = steps[0 if first.due else len(steps) // 2 - 1].step
            self._ledger.in_flight += len(awaited)
            # ONE CALL: between steps, never within one.
            self.send([asked for asked in awaited if asked[0].step <= last])
            if later := [asked for asked in awaited if asked[0].step > last]:
                self.send(later)

    def _ended(self, task: asyncio.Task[None]) -> None:
        # ACCOUNTS: what a cancelled call never answered is in flight no longer.
        self._ledger.in_flight -= len(self.owed.pop(task))
        self._changed()  # WAKE-UP: there is room again, and `_split` may have touched a step


def claim(model: Model, owed: dict[int, T], position: int, sample: Sample) -> T:
    """Return what a model's sample at a position of its call is for; it is owed no longer."""
    if not (isinstance(sample, Sample) and isinstance(sample.text, str) and isinstance(sample.usage, Usage)):
        raise ModelUnavailable(
            f"{model.name} answered {said(sample)}: an answer is a surefoot.Sample of a text, with a surefoot.voting.Usage or none"
        )
    try:
        return owed.pop(position)
    except KeyError:
        raise ModelUnavailable(
            f"{model.name} answered ask {position!r} of a call that does not owe it: a model answers each ask once, by its "
            "position from 0"
        ) from None


def check_all_answered(model: Model, owed: dict[int, T], asked: int) -> None:
    """Raise `ModelUnavailable` if a call has ended before it has answered all that was asked."""
    if owed:
        raise ModelUnavailable(f"{model.name} left {len(owed)} of {asked} asks unanswered")


def _awaited(asked: Placed) -> bool:
    """Whether this sample would still count."""
    return asked[0].status is ASKED

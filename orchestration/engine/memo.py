"""The memo: what the last steps of a job have decided, by what they asked.

Of a task that `Reuses`, a step that asks just what an earlier one has asked is decided with that one's verdict: no sample is drawn and no vote is
counted.  What is remembered follows from the records of the last `REMEMBERED_STEPS` steps and from nothing else, so that whoever takes a job up
again reads those and decides as the runner before would have.
"""

from collections import OrderedDict
from hashlib import blake2b
from typing import Any, Generic, NamedTuple

from surefoot.agents.tasks.codec import written
from surefoot.agents.tasks.optional import Reuses
from surefoot.agents.tasks.plain_values import canonical
from surefoot.agents.tasks.task import A, S
from surefoot.models.base import Prompt
from surefoot.orchestration.record import Record

from .open_step import Terms

REMEMBERED_STEPS = 65_536
"""A verdict is forgotten when so many steps in a row have not asked for it."""
REMEMBERED_BYTES = 1_024
"""A larger answer, as JSON, is not remembered: so all that is remembered has a bound."""
DIGEST_BYTES = 32


class Remembered(NamedTuple, Generic[A]):
    """What was decided for a prompt."""

    answer: A
    source: int
    """The step whose own election, or ladder, decided it."""
    last: int
    """The last step that asked for it."""


class Memo(Generic[S, A]):
    """The verdicts of the last `steps` steps, by digests of their prompts."""

    def __init__(self, terms: Terms[S, A], reusing: Reuses[S], steps: int = REMEMBERED_STEPS) -> None:
        self._terms, self._reusing, self._steps = terms, reusing, steps
        self.current = False
        """Whether it has what the journal has; written by whoever reads and withdraws records."""
        self.taking = True
        """Whether verdicts are taken from it: steps that are decided again get an election of their own."""
        # In order of `last`.  An OrderedDict: to find a plain dict's first key takes longer the more were deleted before it.
        self._verdicts: OrderedDict[bytes, Remembered[A]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._verdicts)

    def digest(self, state: S) -> bytes | None:
        """Return the digest of all that a step asks, in all views; None if its verdict is no other step's.

        The terms are the same for all steps of a job but for the kind of the step, which is part of it.
        """
        if not self._reusing.reusable(state):
            return None
        task, offering = self._terms.task, self._terms.offering
        asked = [_without_pictures(task.ask(state, view)) for view in range(task.views)]
        offer = None if offering is None else offering.offer(state)
        # `repr` writes texts and tuples of them unambiguously, and halves of characters as escapes.
        whole = repr((self._terms.kind_of(state), asked, offer))
        return blake2b(whole.encode(), digest_size=DIGEST_BYTES).digest()

    def find(self, digest: bytes, step: int) -> Remembered[A] | None:
        """Return what `step` may take; None if there is nothing, or it is too long ago."""
        found = self._verdicts.get(digest) if self.taking else None
        return None if found is None or step - found.last > self._steps else found

    def take(self, digest: bytes, step: int) -> tuple[A, Record] | None:
        """Return what `step` is decided with, and its record; None if it needs an election of its own."""
        found = self.find(digest, step)
        if found is None:
            return None
        record = Record(step, written(self._terms.task.answer_codec, found.answer), 0, reused=found.source)
        self.add(digest, record, found.answer)
        return found.answer, record

    def add(self, digest: bytes, record: Record, answer: A) -> None:
        """Remember how a step was decided; of several verdicts on the same prompt the latest counts."""
        self._verdicts.pop(digest, None)
        step = record.step
        if len(canonical(record.answer)) <= REMEMBERED_BYTES:
            self._verdicts[digest] = Remembered(
                answer, step if record.reused is None else record.reused, step
            )
        # One comes and the oldest goes once it is too old, so that there are never more than `steps` of them.
        oldest = next(iter(self._verdicts), None)
        if oldest is not None and step - self._verdicts[oldest].last >= self._steps:
            del self._verdicts[oldest]

    def clear(self) -> None:
        """Forget everything."""
        self._verdicts.clear()


def _without_pictures(prompt: Prompt) -> Any:
    """Return a prompt without its pictures' bytes, which their digests stand for."""
    if isinstance(prompt, str):
        return prompt
    return [
        (message.role, message.content, [(each.digest, each.media) for each in message.pictures])
        for message in prompt
    ]

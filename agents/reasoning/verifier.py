"""Verifiers say whether a thought concludes, and whether two thoughts conclude the same: a small model, or a rule."""

import asyncio
import re
from collections.abc import Callable, Hashable, Sequence
from hashlib import blake2b
from typing import NamedTuple, Protocol

from surefoot.agents.hygiene.fencing import NONCE_BYTES, NOTICE, fence
from surefoot.errors import BadInput
from surefoot.models.base import Ask, Message, Model, Prompt
from surefoot.models.gather import in_order
from surefoot.voting.samples import NOTHING, Usage

TAIL = 4000
"""Characters of a thought that a verifier is shown, from its end: that is where conclusions are."""
POWERS = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u207b]+")
"""What cleaning would write as plain digits, 102 for the square of 10."""
CONCLUDES = """Here is a passage from somebody's reasoning about a question.

{}

Does the passage state a final answer to the question? A plan, a doubt or an intermediate result is not one.
Reply with one word, Yes or No."""
SAME = """Here are two passages from somebody's reasoning about one question. Each of them states a final answer.

{}

{}

Is it the same answer in both, however it is worded? Numbers and formulas are the same if they are equal.
Reply with one word, Yes or No."""


class Opinion(NamedTuple):
    """The answer to one question."""

    yes: bool
    usage: Usage = NOTHING


class Verifying(Protocol):
    """Answers two kinds of questions, many at a time."""

    async def concludes(self, thoughts: Sequence[str]) -> list[Opinion]:
        """Say of each thought whether it states a concluding answer."""
        ...

    async def same(self, pairs: Sequence[tuple[str, str]]) -> list[Opinion]:
        """Say of each two thoughts that conclude whether they state the same answer."""
        ...


class Verifier:
    """Asks a small model for one token, Yes or No (TrimR, arXiv 2505.17155, with words of our own).

    One verifier serves any number of streams.  What they ask within one turn of the event loop, or while `in_flight`
    requests are under way, is asked together, in one call of the model.  Anything but a yes is a no, so a verifier that
    makes no sense trims nothing; `unclear` counts such answers.  A verifier that could think must have that switched
    off (`Options(extra={"chat_template_kwargs": {"enable_thinking": False}})`).

    Thoughts are shown to this model, so it has to be as trusted as the one that thinks.  It sees them cleaned and fenced,
    as they may repeat what an attacker put in the question's data.
    """

    def __init__(self, model: Model, *, in_flight: int = 4) -> None:
        if in_flight < 1:
            raise BadInput(f"at least one request must be allowed in flight, not {in_flight!r}")
        self._model = model
        self._slots = asyncio.Semaphore(in_flight)
        self._open: _Batch | None = None
        self.asked = 0
        """Questions answered."""
        self.unclear = 0
        """Those of them answered neither yes nor no."""

    async def concludes(self, thoughts: Sequence[str]) -> list[Opinion]:
        """Say of each thought whether it states a concluding answer.  Raises `ModelUnavailable`."""
        return await self._ask([_prompt(CONCLUDES, thought) for thought in thoughts])

    async def same(self, pairs: Sequence[tuple[str, str]]) -> list[Opinion]:
        """Say of each two thoughts that conclude whether they state the same answer.  Raises `ModelUnavailable`."""
        return await self._ask([_prompt(SAME, *pair) for pair in pairs])

    async def _ask(self, questions: Sequence[Prompt]) -> list[Opinion]:
        if not questions:
            return []
        batch = self._open
        if batch is None:
            batch = self._open = _Batch()
            batch.task = asyncio.create_task(self._run(batch))
        first = len(batch.asks)
        batch.asks += [Ask(question, 0.0, 1, 0) for question in questions]
        batch.waiting += 1
        try:
            opinions = await asyncio.shield(batch.task)
        finally:
            batch.waiting -= 1
            if not batch.waiting:
                self._forget(batch)
        return opinions[first : first + len(questions)]

    async def _run(self, batch: "_Batch") -> list[Opinion]:
        async with self._slots:
            self._open = None
            samples = await in_order(self._model, batch.asks)
        said = [sample.text.strip().lower() for sample in samples]
        self.asked += len(said)
        self.unclear += sum(not answer.startswith(("y", "n")) for answer in said)
        return [
            Opinion(answer.startswith("y"), sample.usage)
            for answer, sample in zip(said, samples, strict=True)
        ]

    def _forget(self, batch: "_Batch") -> None:
        """Cancel a request whose result is no longer wanted; a finished one stays as it is."""
        batch.task.cancel()
        if self._open is batch:
            self._open = None


class _Batch:
    """Questions that travel together."""

    task: asyncio.Task[list[Opinion]]

    def __init__(self) -> None:
        self.asks: list[Ask] = []
        self.waiting = 0


class RuleVerifier:
    """A verifier without a model, for tasks whose conclusions a function can read; it costs nothing.

    `answer_of` returns the answer that a thought states, None if it states none.
    """

    def __init__(self, answer_of: Callable[[str], Hashable | None]) -> None:
        self._answer_of = answer_of

    async def concludes(self, thoughts: Sequence[str]) -> list[Opinion]:
        """Say of each thought whether it states a concluding answer."""
        return [Opinion(self._answer_of(thought) is not None) for thought in thoughts]

    async def same(self, pairs: Sequence[tuple[str, str]]) -> list[Opinion]:
        """Say of each two thoughts that conclude whether they state the same answer."""
        return [Opinion(self._answer_of(first) == self._answer_of(second)) for first, second in pairs]


def _prompt(question: str, *thoughts: str) -> Prompt:
    """Return a question about the ends of thoughts."""
    ends = [POWERS.sub(r"^\g<0>", thought[-TAIL:]) for thought in thoughts]
    # Made of all that it surrounds, which no text can foresee of itself; and the same question is the same prompt again.
    nonce = blake2b("\0".join(ends).encode(), digest_size=NONCE_BYTES).hexdigest()
    fenced = [fence(end, "model", nonce=nonce).text for end in ends]
    return (Message("system", NOTICE), Message("user", question.format(*fenced)))

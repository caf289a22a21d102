"""The driver: one reasoning stream per ask, prepared and watched by controls; every ask gets an answer."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import replace
from hashlib import blake2b
from inspect import iscoroutinefunction
from itertools import starmap

from surefoot.errors import BadInput, SurefootError
from surefoot.models.base import Ask, context_of
from surefoot.models.gather import as_they_end
from surefoot.models.server_load import ServerLoad, server_load_of
from surefoot.models.streaming import Draw, Piece, Streaming, parser
from surefoot.models.tags import THINK, Tags
from surefoot.voting.samples import Sample

from .control import RESTARTS, Close, Control, Drop, Restart, StreamAction, StreamState, Watch
from .thoughts import CUES, Cues

__all__ = ["Close", "Control", "Drop", "Reasoner", "Restart", "StreamAction", "StreamState", "Watch"]

DROPPED = "dropped"
"""How a sample finishes that a control threw away."""
BUDGET = "budget"
"""What ended the thinking if it reached its limit, or was not wanted at all."""

CLOSING_TOKENS = 8
"""Room in the context for the tag that closes the thinking."""

Watches = Sequence[tuple[str, Watch]]
"""Each with the name of its control."""


class ControlFailed(SurefootError):
    """A method of a control raised."""


class Reasoner:
    """A model that thinks before it answers, with controls; raw thoughts never reach the sample.

        reasoner = Reasoner(model, Elastic(thinking=1024, solution=256), Exit())
        async with aclosing(reasoner.sample(asks)) as samples:
            ...

    A sample is at most two requests, and one more per restart: the thinking, at most `think_tokens` long, and the answer,
    which always gets `answer_tokens` of its own, or what a control like `Elastic` gives it, or the ask's `max_tokens` if
    that is less.  Thinking that has not ended by then, or that a control ends, is closed by hand and answered; thinking
    that was not wanted (`Draw.think`) is closed at its first word.  Where the server says how long its context is, thinking is
    also closed before it takes the answer's room; a sample without any room for an answer finishes as "length".  Of several controls the first that wants something
    done about a piece gets its way.

    `Sample.tokens` counts the answer, `Sample.usage` everything: what is not answer is `reasoning`.  Of a stream that is
    aborted only the pieces that were read are counted.  What the server made after the last of them is on no bill here:
    what it made before it noticed, and what came while a control's question on the side (a probe of `Exit`) was answered,
    as a stream is not read meanwhile.
    """

    def __init__(
        self,
        model: Streaming,
        *controls: Control,
        answer_tokens: int = 256,
        think_tokens: int = 2048,
        tags: Tags = THINK,
        cues: Cues = CUES,
    ) -> None:
        if answer_tokens < 1 or think_tokens < 1:
            raise BadInput(
                f"thinking and answer need at least 1 token each, not {think_tokens!r} and {answer_tokens!r}"
            )
        if not callable(getattr(model, "stream", None)):
            raise BadInput(
                f"a Reasoner listens to a model that streams its thoughts, such as OpenAIModel or ThinkingDouble; {model!r} does not"
            )
        for control in controls:
            _check_control(control)
        self._model = model
        self._controls = controls
        self._answer_tokens, self._think_tokens = answer_tokens, think_tokens
        self._tags, self._cues = tags, cues

    @property
    def name(self) -> str:
        """The model's name and those of the controls."""
        return "+".join([self._model.name, *(control.name for control in self._controls)])

    async def context(self) -> int | None:
        """Return how many tokens the model's prompt and answer may have together, if it says it."""
        return await context_of(self._model)

    def server_load(self) -> ServerLoad | None:
        """Return what was asked of the model's servers so far."""
        return server_load_of(self._model)

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask and yield (position of the ask, sample) in the order of completion.

        Closing the generator aborts every stream that still runs.
        """
        async with aclosing(as_they_end(starmap(self._sample, enumerate(asks)))) as samples:
            async for pair in samples:
                yield pair

    async def think(self, ask: Ask) -> StreamState:
        """Return the whole state of one sample, thoughts included."""
        state = StreamState(self.draw(ask), self._cues, self._answer_tokens)
        for control in self._controls:
            with _said_of(control.name, "prepare"):
                await control.prepare(state, self._model)
        state.answer_limit = min(state.answer_limit, ask.max_tokens)
        if ask.offer is not None and ask.offer.thinking < 1:
            state.draw = _thinking_less(state.draw, ask.offer.thinking)
        state.begin(state.draw.begun)
        watches: list[tuple[str, Watch]] = []
        for control in self._controls:
            with _said_of(control.name, "watch"):
                watch = control.watch(state.draw, self._model)
            if watch is not None:
                _check_watch(control.name, watch)
                watches.append((control.name, watch))
        # All of them are closed, even if one has an error to raise.
        async with AsyncExitStack() as stack:
            for _, watch in watches:
                stack.push_async_callback(watch.aclose)
            await self._run(state, watches)
        return state

    def draw(self, ask: Ask) -> Draw:
        """Return what is drawn for this ask, before the controls prepare it."""
        return Draw(
            prompt=ask.prompt,
            temperature=ask.temperature,
            max_tokens=self._think_tokens,
            seed=ask.seed,
            tags=self._tags,
            offer=ask.offer,
        )

    async def _sample(self, position: int, ask: Ask) -> tuple[int, Sample]:
        state = await self.think(ask)
        usage = state.usage._replace(reasoning=state.usage.completion - state.answer_tokens)
        text = "" if state.finish == DROPPED else state.text.lstrip()
        return position, Sample(text, state.finish, state.answer_tokens, usage)

    async def _run(self, state: StreamState, watches: Watches) -> None:
        draw, request = state.draw, _first(state)
        action = await self._listen(state, request, watches)
        while isinstance(action, Restart) and state.restarts < RESTARTS:
            state.restarts += 1
            state.begin(draw.begun)
            if action.guidance:
                state.begin(state.open + action.guidance)
                request = replace(request, begun=state.open)
            request = replace(request, seed=derived(draw.seed, state.restarts))
            action = await self._listen(state, request, watches)
        if not isinstance(action, Drop) and (begun := _to_answer(state, request, action)) is not None:
            rest, seed = state.answer_limit - state.answer_tokens, derived(draw.seed, -1)
            answer = replace(draw, begun=begun, max_tokens=rest, seed=seed, thinking_budget=None)
            action = await self._listen(state, answer, watches)
        if isinstance(action, Drop):
            state.finish, state.reason = DROPPED, action.reason

    async def _listen(self, state: StreamState, request: Draw, watches: Watches) -> StreamAction | None:
        """Draw one stream to its end, or to the first action."""
        state.finish = None
        async with aclosing(self._model.stream(request)) as pieces:
            async for piece in pieces:
                thoughts = state.hear(piece)
                for name, watch in watches:
                    with _said_of(name, "see"):
                        action = await watch.see(state, piece, thoughts)
                    if action is None:
                        continue
                    if not isinstance(action, StreamAction):
                        raise BadInput(
                            f"`see` of control {name!r} returns None, Close(), Restart() or Drop(), not {action!r}"
                        )
                    if isinstance(action, Drop) or not state.closed:
                        state.ended_by = name
                        return action
                if not state.closed and _context_is_full(state, piece):
                    state.ended_by = BUDGET
                    return Close()
                # Chat templates that know no `enable_thinking` ignore it.
                if request.think is False and not (state.blank or state.closed):
                    state.ended_by = BUDGET
                    return Close(keep=0)
                if state.finish is None and state.answer_tokens > state.answer_limit:
                    state.finish = "length"
                    return None
        return None


def _thinking_less(draw: Draw, share: float) -> Draw:
    """Leave a share of the thinking that the controls allow."""
    budget = draw.thinking_budget
    return replace(
        draw,
        max_tokens=int(draw.max_tokens * share),
        thinking_budget=None if budget is None else int(budget * share),
    )


@contextmanager
def _said_of(control: str, method: str) -> Iterator[None]:
    """Let an error of a control say whose it is."""
    try:
        yield
    except SurefootError:
        raise
    except Exception as error:
        raise ControlFailed(
            f"control {control!r} failed in `{method}`: {type(error).__name__}: {error}"
        ) from error


def _check_control(control: object) -> None:
    """Refuse what was meant for a control and is none, before anything is asked."""
    if not isinstance(control, Control):
        raise BadInput(
            f"a control is an object whose class derives from Control, {control!r} is none"
            + (": call it first" if isinstance(control, type) and issubclass(control, Control) else "")
        )
    if not iscoroutinefunction(control.prepare):
        raise BadInput(f"control {control.name!r}: write `async def prepare`")


def _check_watch(name: str, watch: object) -> None:
    if not isinstance(watch, Watch):
        raise BadInput(f"`watch` of control {name!r} returns a Watch or None, not {watch!r}")
    if not iscoroutinefunction(watch.see):
        raise BadInput(f"control {name!r}: write `async def see` in {type(watch).__name__}")


def _context_is_full(state: StreamState, piece: Piece) -> bool:
    """Whether more thinking would take the room that the answer needs, at most half of what there was."""
    if piece.room is None:
        return False
    return piece.room < min(state.answer_limit, (piece.room + state.tokens) // 2) + CLOSING_TOKENS


def derived(seed: int, number: int) -> int:
    """Return a seed of its own for a later request of the same sample."""
    return int.from_bytes(blake2b(f"{seed} {number}".encode(), digest_size=4).digest()) >> 1


def _first(state: StreamState) -> Draw:
    """Return the request that the sample begins with."""
    draw = state.draw
    native = draw.thinking_budget is not None
    nothing_left = draw.max_tokens < 1 and not native
    # There is no chat template that could be told: the model finds its thinking done.
    untold = draw.think is False and isinstance(draw.prompt, str) and not draw.begun
    if (nothing_left or untold) and not state.closed:
        draw = replace(draw, begun=state.closed_with())
        state.begin(draw.begun)
        state.ended_by = BUDGET if nothing_left else None
    if state.closed or draw.think is False:
        return replace(draw, max_tokens=state.answer_limit)
    if native:
        return replace(draw, max_tokens=draw.max_tokens + state.answer_limit, thinking_budget=draw.max_tokens)
    return draw


def _to_answer(state: StreamState, request: Draw, action: StreamAction | None) -> str | None:
    """Return the raw text from which the model has yet to answer, or to go on answering; None if it is done."""
    if action is not None:
        return state.close(action.guidance, action.keep) if isinstance(action, Close) else state.close()
    if state.closed:
        # The count holds the tags: thinking that ended a token or two before its limit passes for ended by it.
        if request.thinking_budget is not None and state.tokens >= request.thinking_budget:
            state.ended_by = BUDGET
        cut = state.finish == "length" and state.answer_tokens < state.answer_limit
        return state.written if cut else None
    if state.finish == "length":
        state.ended_by = BUDGET
    elif not state.thought and not parser(request).thinking:
        return None
    return state.close()

"""A model of inspect_ai whose every answer is elected among samples of another one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import fields
from itertools import count
from typing import Any, Literal

from inspect_ai.log import transcript
from inspect_ai.model import (
    ChatMessage,
    GenerateConfig,
    Model,
    ModelAPI,
    ModelOutput,
    get_model,
)
from inspect_ai.tool import ToolChoice, ToolFunction, ToolInfo
from inspect_ai.util import span, suspend_turn_limit

from surefoot.errors import BadInput
from surefoot.models.elected_answers import (
    AnswerStalled,
    Ballots,
    Elected,
    answer_form,
    elect,
    offer_of,
    tool_schema,
)
from surefoot.models.offers import Call, Offer, arguments_of, write_calls
from surefoot.orchestration.engine.open_step import seed_of
from surefoot.voting.samples import UNCOUNTED, Sample, Usage

from .settings import VotedSettings

SOURCE = "surefoot"
"""Under which name the transcript and an answer's metadata have the vote."""
CHOICES: dict[str, Literal["auto", "required", "none"]] = {"auto": "auto", "any": "required", "none": "none"}
FINISHES = {
    "stop": "stop",
    "tool_calls": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "unknown": "stop",  # many providers say nothing of it
}
"""Why an answer ended, in the words of a `Sample`; any other reason is a red flag."""
ONE_SAMPLE = {"cache": None, "num_choices": None, "system_message": None, "fail_on_refusal": None}
"""What an eval asks of an answer, and is done once for all samples of it."""
SEEDS = 1 << 31
"""Some servers take no longer ones."""
LONGEST_SHOWN = 500
"""Characters of a candidate that a stall tells of."""


class VotedModelAPI(ModelAPI):
    """`surefoot/MODEL`: every answer of MODEL, any model that inspect_ai knows, is elected.

    The transcript has the vote as a span: every sample as a call of MODEL, and the tally.  Tokens are counted there, at MODEL; the answer
    has none of its own, or they would count twice.  Its metadata say what `surefoot.models.elected_answers.Vote.summary` says.
    An answer that no two samples share, prose, is the first sample's, and the metadata claim no vote.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        inner: Model | None = None,
        **arguments: Any,
    ) -> None:
        """Raises `BadInput` for a vote that there is not; arguments that are no field of `VotedSettings` are those of MODEL."""
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        own = {
            each.name: arguments.pop(each.name) for each in fields(VotedSettings) if each.name in arguments
        }
        self._settings = VotedSettings(**own)
        self._inner = inner or get_model(model_name, base_url=base_url, api_key=api_key, **arguments)
        if isinstance(self._inner.api, VotedModelAPI):
            raise BadInput(f"the answers of {str(self._inner)!r} are elected already")

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        """Return the elected answer; raises `AnswerStalled` if there is none and stalls are errors."""
        check_asyncio()
        how = self._settings
        ballots = Ballots(how.equality, _offer(tools, tool_choice, config), _form(config))
        draw = self._drawing(input, tools, tool_choice, config)
        async with span("vote", type=SOURCE):
            try:
                with suspend_turn_limit():  # one answer is one turn, however many samples it takes
                    elected = await elect(
                        draw,
                        sample_of,
                        ballots=ballots,
                        votes=how.votes,
                        limit=how.limit,
                        accuracy=how.accuracy,
                    )
            except AnswerStalled as stall:
                said = _stalled(stall)
                transcript().info(said, source=SOURCE)
                if how.on_stall == "error":
                    raise
                missed = ModelOutput.from_content(self.model_name, "", "unknown", error=said["stalled"])
                return missed.model_copy(update={"metadata": {SOURCE: said}})
            transcript().info(elected.vote.summary(), source=SOURCE)
        return _answer(elected)

    def _drawing(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> Callable[[], Awaitable[ModelOutput]]:
        numbers = count()

        def draw() -> Awaitable[ModelOutput]:
            asked = self._of_one(config, next(numbers))
            return self._inner.generate(list(input), tools, tool_choice, asked, cache=False)

        return draw

    def _of_one(self, config: GenerateConfig, number: int) -> GenerateConfig:
        """Return how one sample is drawn: no two have a seed in common, and only the first is greedy."""
        changed: dict[str, Any] = dict(ONE_SAMPLE)
        if config.seed is not None:
            changed["seed"] = seed_of(config.seed, 0, number) % SEEDS
        if config.temperature == 0 and number:
            changed["temperature"] = self._settings.temperature
        return config.model_copy(update=changed)

    # What is known of the model that is voted on.

    def canonical_name(self) -> str:
        """Return the name under which inspect_ai knows its context and its prices."""
        return self._inner.canonical_name()

    def max_connections(self) -> int:
        """Return how many answers are elected at a time."""
        return self._inner.api.max_connections()

    def tool_result_images(self) -> bool:
        """Leave pictures where they are: the model that is asked has them moved, if it has to."""
        return True

    def tool_result_documents(self) -> bool:
        """Leave documents where they are, likewise."""
        return True

    async def count_tokens(self, input: str | list[ChatMessage], config: GenerateConfig | None = None) -> int:
        """Return how many tokens the model takes the input for."""
        return await self._inner.api.count_tokens(input, config)

    async def aclose(self) -> None:
        """Close the model."""
        await self._inner.api.aclose()


def check_asyncio() -> None:
    """Raise `BadInput` where inspect_ai runs on trio."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise BadInput("answers are elected on asyncio alone: unset INSPECT_ASYNC_BACKEND") from None


def sample_of(output: ModelOutput) -> Sample:
    """Return what of a model's answer is voted on, and what it took."""
    usage = _usage(output)
    if output.empty:
        return Sample("", None, usage=usage)
    calls = [
        Call(call.function, call.parse_error or arguments_of(call.arguments))
        for call in output.message.tool_calls or ()
    ]
    said = write_calls(output.message.text, calls)
    tokens = None if output.usage is None else output.usage.output_tokens
    return Sample(said, FINISHES.get(output.stop_reason), tokens, usage)


def _usage(output: ModelOutput) -> Usage:
    told = output.usage
    if told is None:
        return UNCOUNTED
    cached = told.input_tokens_cache_read or 0
    return Usage(
        prompt=told.input_tokens + cached + (told.input_tokens_cache_write or 0),
        cached=cached,
        completion=told.output_tokens,
        reasoning=told.reasoning_tokens or 0,
    )


def _offer(tools: list[ToolInfo], choice: ToolChoice, config: GenerateConfig) -> Offer | None:
    schemas = [
        tool_schema(tool.name, tool.description, tool.parameters.model_dump(exclude_none=True))
        for tool in tools
    ]
    parallel = config.parallel_tool_calls is not False
    if isinstance(choice, ToolFunction):
        return offer_of(schemas, forced=choice.name, parallel=parallel)
    return offer_of(schemas, CHOICES[choice], parallel=parallel)


def _form(config: GenerateConfig) -> Callable[[str], str] | None:
    wanted = config.response_schema
    if wanted is None:
        return None
    return answer_form(wanted.json_schema.model_dump_json(exclude_none=True))


def _answer(elected: Elected[ModelOutput]) -> ModelOutput:
    """Return the reply that won, with the vote; what it took is counted at the samples."""
    reply = elected.reply
    told = {**(reply.metadata or {}), SOURCE: elected.vote.summary()}
    return reply.model_copy(update={"usage": None, "metadata": told})


def _stalled(stall: AnswerStalled) -> dict[str, Any]:
    """Return what there is to be said of a vote without a decision, as `Vote.summary` has it: the leading candidates besides."""
    return {
        "vote": None,
        "votes": stall.lead,
        "tally": sorted(stall.tally.values(), reverse=True),
        "margin": None,
        "samples": stall.drawn,
        "flags": dict(stall.flags),
        "risk": None,
        "uncounted": stall.usage.uncounted,
        "stalled": str(stall),
        "candidates": [sample.text[:LONGEST_SHOWN] for sample in stall.examples],
    }

"""Models of Pydantic AI with every answer elected: `VotedModel` wraps any of them, and is one."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

from surefoot.typed_input import checked
from surefoot.voting.samples import UNCOUNTED, Sample, Usage

from .elected_answers import (
    Ballots,
    Equality,
    answer_form,
    check_that_samples_differ,
    check_vote,
    elect,
    offer_of,
    tool_schema,
)
from .offers import Call, Offer, arguments_of, write_calls

try:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import (
        CompletedStreamedResponse,
        Model,
        ModelRequestParameters,
        StreamedResponse,
    )
    from pydantic_ai.models.wrapper import WrapperModel
    from pydantic_ai.settings import ModelSettings
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "VotedModel needs Pydantic AI: install surefoot[pydantic-ai]", name=error.name
    ) from error


class VotedModel(WrapperModel):
    """A model of Pydantic AI whose every answer is elected among those of another one, which is asked until one leads all others.

        agent = pydantic_ai.Agent(VotedModel(OpenAIChatModel("..."), votes=3), output_type=Person)

    What is compared is said in `surefoot.models.elected_answers.ballots`; no vote is claimed on prose.  Of a response `metadata["surefoot"]`
    has what a vote came to (`Vote.summary`), `usage` the sum over all samples; a stream has all of it at once.  Raises
    `AnswerStalled`, a `surefoot.Stalled`, if no answer gets far enough ahead, `BadInput` for settings with which samples are
    copies of one another, and what the model raises.
    """

    @checked
    def __init__(
        self,
        wrapped: Model | str,
        *,
        votes: int = 3,
        limit: int = 24,
        equality: Equality = "auto",
        accuracy: float | None = None,
    ) -> None:
        """Wrap a model, or the one of a name; the numbers are those of `surefoot.models.langchain.VotedChatModel`."""
        check_vote(votes=votes, limit=limit, equality=equality, accuracy=accuracy)
        super().__init__(wrapped)
        self.votes, self.limit, self.equality, self.accuracy = votes, limit, equality, accuracy

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the elected response."""
        settings, asked = self.wrapped.prepare_request(model_settings, model_request_parameters)
        if self.votes > 1 and self.equality != "none":
            drawn_by: Mapping[str, Any] = settings or {}
            check_that_samples_differ(drawn_by.get("temperature"), drawn_by.get("seed"))

        async def draw() -> ModelResponse:
            return await self.wrapped.request(messages, model_settings, model_request_parameters)

        native = asked.output_object if asked.output_mode == "native" else None
        form = None if native is None else answer_form(json.dumps(native.json_schema))
        found = await elect(
            draw,
            _sample,
            ballots=Ballots(self.equality, _offer(asked), form),
            votes=self.votes,
            limit=self.limit,
            accuracy=self.accuracy,
        )
        usage = reduce(add, (reply.usage for reply in found.replies))
        more = {"surefoot": found.vote.summary()}
        return replace(found.reply, usage=usage, metadata={**(found.reply.metadata or {}), **more})

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Yield the elected response as a stream: it begins when it is decided."""
        response = await self.request(messages, model_settings, model_request_parameters)
        yield CompletedStreamedResponse(
            response, model_request_parameters=model_request_parameters, replay_events=True
        )


def _offer(asked: ModelRequestParameters) -> Offer | None:
    tools = [
        tool_schema(tool.name, tool.description, tool.parameters_json_schema)
        for tool in (*asked.function_tools, *asked.output_tools)
    ]
    must = bool(tools) and asked.output_mode == "tool" and not asked.allow_text_output
    return offer_of(tools, "required" if must else "auto")


def _sample(response: ModelResponse) -> Sample:
    calls = [Call(call.tool_name, arguments_of(call.args or {})) for call in response.tool_calls]
    # Many models say nothing of their end; that a call ended a response is what it should do.
    ended = "stop" if response.finish_reason in (None, "tool_call") else response.finish_reason
    told = response.usage
    usage = Usage(prompt=told.input_tokens, cached=told.cache_read_tokens, completion=told.output_tokens)
    return Sample(
        write_calls(response.text or "", calls),
        # One that was suspended goes on by itself later, which is too late for a vote.
        ended if response.state == "complete" else response.state,
        told.output_tokens or None,
        usage if usage.total else UNCOUNTED,
    )

"""LangChain's chat models with every answer elected: `VotedChatModel` wraps any of them, and is one."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial, reduce
from typing import Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import add_usage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable, RunnableBinding
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel

from surefoot.errors import BadInput
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
from .openai.finish_reasons import finish_word

_OFFER = "surefoot_offer"
"""Under which name a binding has what may be called."""
_ENDS = ("finish_reason", "stop_reason", "finishReason", "stopReason", "done_reason", "status")
"""Under which names providers say why a reply ended."""
_OF_ONE_SAMPLE = frozenset({"token_usage", "usage", "usage_metadata"})
"""Under which names they say what it took; of an elected answer the sum stands in its `usage_metadata`."""


class VotedChatModel(BaseChatModel):
    """A chat model whose every answer is elected among those of another one, which is asked until one leads all others.

        voted = VotedChatModel(ChatOpenAI(model="...", temperature=0.7), votes=3)
        voted.invoke("What is 6 * 7?")             # `await voted.ainvoke(...)`, `voted.batch(...)`: as with any other
        voted.bind_tools([search])                 # calls are compared by their names and arguments
        voted.with_structured_output(Person)       # so are forms that are filled in, which is done by a call
        voted.with_fallbacks([other], exceptions_to_handle=(surefoot.Stalled,))

    What is compared is said in `surefoot.models.elected_answers.ballots`; no vote is claimed on prose.  `response_metadata["surefoot"]` has
    what a vote came to (`Vote.summary`), `usage_metadata` the sum over all samples.  Callbacks, traces and caches see one call, and a
    stream has one chunk.  Raises `AnswerStalled`, a `surefoot.Stalled`, if no answer gets far enough ahead, `BadInput` for a model
    whose samples are copies of one another, and what the model raises.
    """

    wrapped: BaseChatModel
    """Whose answers are voted on; its temperature is above 0."""
    votes: int = 3
    """The lead that decides."""
    limit: int = 24
    """Most samples of one answer."""
    equality: Equality = "auto"
    """When two texts are one ballot."""
    accuracy: float | None = None
    """How often one sample is right, as you have measured it; the risk of an answer follows from it."""

    @checked
    def __init__(
        self,
        wrapped: BaseChatModel,
        *,
        votes: int = 3,
        limit: int = 24,
        equality: Equality = "auto",
        accuracy: float | None = None,
        **more: Any,
    ) -> None:
        check_vote(votes=votes, limit=limit, equality=equality, accuracy=accuracy)
        vote = {"votes": votes, "limit": limit, "equality": equality, "accuracy": accuracy}
        super().__init__(**{"wrapped": wrapped, "profile": wrapped.profile, **vote, **more})

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the same with tools, bound as the wrapped model binds them."""
        choice = {} if tool_choice is None else {"tool_choice": tool_choice}
        bound: Any = self.wrapped.bind_tools(tools, **choice, **kwargs)
        given: dict[str, Any] = {}
        while isinstance(bound, RunnableBinding):
            bound, given = bound.bound, {**bound.kwargs, **given}
        if not isinstance(bound, BaseChatModel):
            raise BadInput(
                f"{type(self.wrapped).__name__} with tools is no chat model, but a {type(bound).__name__}"
            )
        voted = self if bound is self.wrapped else self.model_copy(update={"wrapped": bound})
        # Providers have forms of their own for tools; what may be called is read before it is put into one.
        return voted.bind(**given, **{_OFFER: _offer(tools, tool_choice)})

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        model, offer = self.wrapped, _offered(kwargs)

        # Below the wrapped model's cache, which would answer with copies, and below its callbacks, which would count tokens twice.
        async def draw() -> ChatResult:
            if model.rate_limiter is not None:
                await model.rate_limiter.aacquire(blocking=True)
            return await model._agenerate(messages, stop=stop, **kwargs)

        return await self._elected(draw, offer, kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        model, offer = self.wrapped, _offered(kwargs)

        def draw() -> ChatResult:
            if model.rate_limiter is not None:
                model.rate_limiter.acquire(blocking=True)
            return model._generate(messages, stop=stop, **kwargs)

        # In a thread, since a loop may be running in the caller's.  The samples block threads of their own: an asynchronous client
        # keeps its connections to the loop in which it was first used, and this one ends with the answer.
        election = self._elected(partial(asyncio.to_thread, draw), offer, kwargs)
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(copy_context().run, asyncio.run, election).result()

    async def _elected(
        self, draw: Callable[[], Awaitable[ChatResult]], offer: Offer | None, asked: Mapping[str, Any]
    ) -> ChatResult:
        if self.votes > 1 and self.equality != "none":
            usual, seed = (getattr(self.wrapped, what, None) for what in ("temperature", "seed"))
            check_that_samples_differ(asked.get("temperature", usual), asked.get("seed", seed))
        found = await elect(
            draw,
            _sample,
            ballots=Ballots(self.equality, offer, _form(asked.get("response_format"))),
            votes=self.votes,
            limit=self.limit,
            accuracy=self.accuracy,
        )
        usages = [usage for reply in found.replies if (usage := _message(reply).usage_metadata)]
        metadata = {key: said for key, said in _metadata(found.reply).items() if key not in _OF_ONE_SAMPLE}
        more = {
            "response_metadata": {**metadata, "surefoot": found.vote.summary()},
            "usage_metadata": reduce(add_usage, usages) if usages else None,
        }
        return ChatResult(generations=[ChatGeneration(message=_message(found.reply).model_copy(update=more))])

    def get_token_ids(self, text: str) -> list[int]:
        """Return the tokens of a text, as the wrapped model counts them."""
        return self.wrapped.get_token_ids(text)

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Return the number of tokens of a conversation, as the wrapped model counts them."""
        return self.wrapped.get_num_tokens_from_messages(messages, tools)

    @property
    def _llm_type(self) -> str:
        return "surefoot-voted"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        vote = {"votes": self.votes, "limit": self.limit, "equality": self.equality}
        return {**vote, "model": {"_type": self.wrapped._llm_type, **self.wrapped._identifying_params}}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return self.wrapped._get_ls_params(stop=stop, **kwargs)


# --- a reply ---


def _message(reply: ChatResult) -> AIMessage:
    message = reply.generations[0].message
    if not isinstance(message, AIMessage):
        raise BadInput(
            f"a chat model answers with a message of an AI, and not with one of type {type(message).__name__}"
        )
    return message


def _metadata(reply: ChatResult) -> dict[str, Any]:
    """Return what was said besides the message, from all the places where LangChain lets it stand."""
    generation = reply.generations[0]
    said = {**(reply.llm_output or {}), **(generation.generation_info or {})}
    return {**said, **generation.message.response_metadata}


def _sample(reply: ChatResult) -> Sample:
    message, metadata = _message(reply), _metadata(reply)
    calls = [Call(each["name"], arguments_of(each["args"])) for each in message.tool_calls]
    # Their arguments are no JSON, which the check of a call says.
    calls += [Call(each["name"] or "", each["args"] or "") for each in message.invalid_tool_calls]
    ended = finish_word(next((metadata[key] for key in _ENDS if isinstance(metadata.get(key), str)), None))
    usage, tokens = UNCOUNTED, None
    if (told := message.usage_metadata) is not None:
        tokens = told["output_tokens"]
        cached = told.get("input_token_details", {}).get("cache_read") or 0
        usage = Usage(
            prompt=told["input_tokens"],
            cached=cached,
            completion=tokens,
            reasoning=told.get("output_token_details", {}).get("reasoning") or 0,
        )
    return Sample(
        write_calls(str(message.text), calls),
        # Many models say nothing of their end; that a call ended a reply is what it should do.
        "stop" if ended in (None, "tool_calls") else ended,
        tokens,
        usage,
    )


# --- what is asked ---


def _offered(asked: dict[str, Any]) -> Offer | None:
    """Return what may be called, and take what only `bind_tools` says of it out of what goes to the wrapped model."""
    if _OFFER in asked:
        found: Offer | None = asked.pop(_OFFER)
        return found
    return _offer(asked.get("tools") or (), asked.get("tool_choice"))


def _offer(tools: Sequence[Any], choice: Any) -> Offer | None:
    """Return what may be called, but for what runs at the provider; `choice` is in the words of LangChain, OpenAI or Anthropic."""
    functions = [function for tool in tools if (function := _function(tool)) is not None]
    schemas = [
        tool_schema(each["name"], each.get("description"), each.get("parameters")) for each in functions
    ]
    if not schemas:
        return None
    if isinstance(choice, Mapping):
        choice = choice.get("function", choice).get("name") or choice.get("type")
    if choice in ("any", "required") or choice is True:
        return offer_of(schemas, "required")
    if choice in [tool.name for tool in schemas]:
        return offer_of(schemas, forced=choice)
    whether: Literal["auto", "none"] = "none" if choice == "none" else "auto"
    return offer_of(schemas, whether)


def _function(tool: Any) -> dict[str, Any] | None:
    try:
        made = convert_to_openai_tool(tool)
    except ValueError:
        return None  # in a form of a provider's, which the wrapped model has taken: it runs there
    function: dict[str, Any] | None = made["function"] if made.get("type") == "function" else None
    return function


def _form(wanted: Any) -> Callable[[str], str] | None:
    """Return the one form of answers to a `response_format`: a pydantic model, or what the OpenAI API takes."""
    if isinstance(wanted, type) and issubclass(wanted, BaseModel):
        return answer_form(json.dumps(wanted.model_json_schema()))
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if kind not in ("json_object", "json_schema"):
        return None
    schema = wanted.get("json_schema", {}).get("schema")
    return answer_form(json.dumps(schema) if schema else None)

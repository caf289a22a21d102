"""`/v1/responses`: the same vote, asked for and answered in the form of OpenAI's newer endpoint.

A request becomes a chat request, and the elected answer a message and its calls.  Nothing is kept between requests: a conversation is sent
whole, as clients do that say `store: false`.
"""

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from surefoot.errors import BadInput
from surefoot.models.elected_answers.vote import Vote

from .replies import ElectedReply, Json, usage_of
from .requests import (
    MOST_MESSAGES,
    MOST_TOOLS,
    ApiObject,
    ChatMessage,
    ChatRequest,
    ContentPart,
    EarlierCall,
    EarlierFunction,
    ForcedFunction,
    ForcedTool,
    ImageUrl,
    Name,
    OfferedFunction,
    OfferedTool,
    SampleRequest,
)

_STATE = frozenset({"previous_response_id", "conversation", "background", "prompt"})
"""What needs a server that keeps something."""
_NOT_READ = frozenset({"include", "truncation", "service_tier", "max_tool_calls", "prompt_cache_retention"})
_OF_CHAT = frozenset({"messages", "response_format", "max_completion_tokens"})


class InputPart(ApiObject):
    """One part of a message, or of what a call came to."""

    type: Literal["input_text", "output_text", "text", "input_image", "refusal"]
    text: str = ""
    refusal: str = ""
    image_url: str | None = None


class InputItem(ApiObject):
    """One item of a conversation: a message, a call, what it came to, or a thought, which stays out."""

    type: Literal["message", "function_call", "function_call_output", "reasoning"] = "message"
    role: Literal["system", "developer", "user", "assistant"] = "user"
    content: str | list[InputPart] | None = None
    call_id: str = ""
    name: str = ""
    arguments: str = "{}"
    output: str | list[InputPart] = ""


class FlatTool(ApiObject):
    """What a model may call."""

    type: Literal["function"]
    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None


class FlatForcedTool(ApiObject):
    """The name of the tool that has to be called."""

    type: Literal["function"]
    name: Name


class TextFormat(ApiObject):
    """In which form the content of an answer is wanted."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str = "answer"
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class TextOptions(ApiObject):
    """The same, and how much is to be written."""

    format: TextFormat | None = None
    verbosity: str | None = None


class ReasoningOptions(ApiObject):
    """How much is to be thought."""

    effort: str | None = None


class ResponsesRequest(SampleRequest):
    """A POST to `/v1/responses`."""

    input: str | Annotated[list[InputItem], Field(min_length=1, max_length=MOST_MESSAGES)]
    instructions: str | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)
    tools: list[FlatTool] | None = Field(default=None, max_length=MOST_TOOLS)
    tool_choice: Literal["auto", "required", "none"] | FlatForcedTool | None = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None

    def as_chat(self) -> ChatRequest:
        """Return the same as a chat request; raises `BadInput` for what needs a server that keeps something."""
        extra = {name: value for name, value in (self.model_extra or {}).items() if value is not None}
        if kept := sorted(name for name in _STATE & extra.keys() if extra[name] is not False):
            raise BadInput(f"the proxy keeps nothing between requests, so {kept[0]!r} cannot be heeded")
        if misplaced := sorted(_OF_CHAT & extra.keys()):
            raise BadInput(f"{misplaced[0]!r} is no field of this endpoint: leave it out")
        said: dict[str, Any] = {name: extra[name] for name in extra.keys() - _NOT_READ - _STATE}
        if self.reasoning is not None and self.reasoning.effort is not None:
            said["reasoning_effort"] = self.reasoning.effort
        if self.text is not None and self.text.verbosity is not None:
            said["verbosity"] = self.text.verbosity
        if self.text is not None and self.text.format is not None:
            said["response_format"] = _response_format(self.text.format)
        choice = self.tool_choice
        if isinstance(choice, FlatForcedTool):
            choice_of_chat: Any = ForcedTool(type="function", function=ForcedFunction(name=choice.name))
        else:
            choice_of_chat = choice
        return ChatRequest(
            messages=list(_messages(self.instructions, self.input)),
            model=self.model,
            temperature=self.temperature,
            max_tokens=self.max_output_tokens or self.max_tokens,
            n=self.n,
            seed=self.seed,
            stop=self.stop,
            stream=self.stream,
            tools=[_tool(tool) for tool in self.tools or ()] or None,
            tool_choice=choice_of_chat,
            parallel_tool_calls=self.parallel_tool_calls,
            surefoot=self.surefoot,
            **said,
        )


def _response_format(wanted: TextFormat) -> Json:
    if wanted.type != "json_schema":
        return {"type": wanted.type}
    schema: Json = {"name": wanted.name, "schema": wanted.schema_ or {}}
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


def _tool(tool: FlatTool) -> OfferedTool:
    function = OfferedFunction(name=tool.name, description=tool.description, parameters=tool.parameters)
    return OfferedTool(type="function", function=function)


def _messages(instructions: str | None, given: str | Sequence[InputItem]) -> Iterator[ChatMessage]:
    """Yield the messages of a conversation; a call belongs to the answer before it."""
    if instructions:
        yield ChatMessage(role="system", content=instructions)
    if isinstance(given, str):
        yield ChatMessage(role="user", content=given)
        return
    answer: ChatMessage | None = None
    """The answer that may still get calls."""
    for item in given:
        if item.type == "reasoning":
            continue
        if item.type == "function_call":
            answer = answer or ChatMessage(role="assistant")
            function = EarlierFunction(name=item.name, arguments=item.arguments)
            answer.tool_calls = [*(answer.tool_calls or ()), EarlierCall(id=item.call_id, function=function)]
            continue
        if answer is not None:
            yield answer
            answer = None
        if item.type == "function_call_output":
            yield ChatMessage(role="tool", tool_call_id=item.call_id, content=_parts(item.output))
        elif item.role == "assistant":
            answer = ChatMessage(role="assistant", content=_parts(item.content))
        else:
            yield ChatMessage(role=item.role, content=_parts(item.content))
    if answer is not None:
        yield answer


def _parts(content: str | Sequence[InputPart] | None) -> str | list[ContentPart] | None:
    if content is None or isinstance(content, str):
        return content
    return [
        ContentPart(type="image_url", image_url=ImageUrl(url=part.image_url) if part.image_url else None)
        if part.type == "input_image"
        else ContentPart(type="text", text=part.text or part.refusal)
        for part in content
    ]


class ResponsesReply:
    """The answer to one request, whole or as events."""

    def __init__(self, vote: Vote, model: str, request: ResponsesRequest) -> None:
        self._vote = vote
        elected = ElectedReply(vote, model, chat=True)
        self.summary = elected.summary
        """What the vote came to."""
        self._items: list[Json] = []
        if elected.content:
            self._items.append(
                {
                    "id": f"msg_{secrets.token_hex(12)}",
                    "type": "message",
                    "role": "assistant",
                    "status": "completed",
                    "content": [_text(elected.content)],
                }
            )
        self._items += [
            {
                "id": f"fc_{secrets.token_hex(12)}",
                "type": "function_call",
                "status": "completed",
                "call_id": call["id"],
                "name": call["function"]["name"],
                "arguments": call["function"]["arguments"],
            }
            for call in elected.calls
        ]
        self._base: Json = {
            "id": f"resp_{secrets.token_hex(12)}",
            "object": "response",
            "created_at": int(time.time()),
            "model": model,
            "error": None,
            "incomplete_details": None,
            "instructions": request.instructions,
            "metadata": {},
            "parallel_tool_calls": request.parallel_tool_calls is not False,
            "temperature": request.temperature,
            "tool_choice": "auto",
            "tools": [],
            "top_p": None,
        }

    def whole(self) -> Json:
        """Return the answer in one piece."""
        return {
            **self._base,
            "status": "completed",
            "output": self._items,
            "usage": self._usage(),
            "surefoot": self.summary,
        }

    def events(self) -> Iterator[bytes]:
        """Yield the answer as a stream has it."""
        for number, (kind, said) in enumerate(self._events()):
            data = json.dumps({"type": kind, "sequence_number": number, **said}, separators=(",", ":"))
            yield f"event: {kind}\ndata: {data}\n\n".encode()

    def _events(self) -> Iterator[tuple[str, Json]]:
        begun = {**self._base, "status": "in_progress", "output": [], "usage": None}
        yield "response.created", {"response": begun}
        for place, item in enumerate(self._items):
            at: Json = {"output_index": place, "item_id": item["id"]}
            message = item["type"] == "message"
            empty: Json = {"content": []} if message else {"arguments": ""}
            opened = {**item, **empty, "status": "in_progress"}
            yield "response.output_item.added", {"output_index": place, "item": opened}
            if message:
                (part,) = item["content"]
                at["content_index"] = 0
                text = part["text"]
                yield "response.content_part.added", {**at, "part": _text("")}
                yield "response.output_text.delta", {**at, "delta": text, "logprobs": []}
                yield "response.output_text.done", {**at, "text": text, "logprobs": []}
                yield "response.content_part.done", {**at, "part": part}
            else:
                arguments = item["arguments"]
                yield "response.function_call_arguments.delta", {**at, "delta": arguments}
                done = {**at, "name": item["name"], "arguments": arguments}
                yield "response.function_call_arguments.done", done
            yield "response.output_item.done", {"output_index": place, "item": item}
        yield "response.completed", {"response": self.whole()}

    def _usage(self) -> Json | None:
        usage = usage_of(self._vote.usage)
        if usage is None:
            return None
        return {
            "input_tokens": usage["prompt_tokens"],
            "input_tokens_details": {"cache_write_tokens": 0, **usage["prompt_tokens_details"]},
            "output_tokens": usage["completion_tokens"],
            "output_tokens_details": usage["completion_tokens_details"],
            "total_tokens": usage["total_tokens"],
        }


def _text(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": []}

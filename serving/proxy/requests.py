"""What clients send: the fields of the OpenAI API that a vote has to know; all others go to the server as they are.

Two fields go no further than the proxy: `surefoot`, which says how to vote on this request, and `seed`, from which every
sample gets one of its own, since samples with the same seed are copies.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from surefoot.errors import BadInput
from surefoot.models.elected_answers.bounds import MOST_SAMPLES, MOST_VOTES, Equality

MOST_MESSAGES, MOST_TOOLS, MOST_STOPS = 10_000, 1_000, 16
MOST_MISTAKES = 1_000
"""Of more only the number is told: to look at each takes longer than to find it."""

_NOT_FORWARDED = frozenset(
    {"user", "metadata", "store", "safety_identifier", "prompt_cache_key", "request_id"}
)
"""Who asks, and what OpenAI keeps of it: of no use to a vote.  One `request_id` for several samples would be refused."""
_REFUSED = frozenset(
    {
        "logprobs",
        "top_logprobs",
        "prompt_logprobs",
        "echo",
        "suffix",
        "best_of",
        "functions",
        "function_call",
        "audio",
    }
)
"""What an elected answer cannot have."""
_OF_THE_OTHER_ENDPOINT = frozenset(
    {"prompt", "messages", "max_completion_tokens", "tools", "tool_choice", "parallel_tool_calls"}
)
"""Passed on, they would take the place of what was checked."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class ApiObject(BaseModel):
    """A part of a request, checked field by field; what has no field here is let through and not read."""

    model_config = ConfigDict(extra="ignore")


class Overrides(BaseModel):
    """How to vote on one request, from `extra_body={"surefoot": {...}}`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    votes: int | None = Field(default=None, ge=1, le=MOST_VOTES)
    limit: int | None = Field(default=None, ge=1, le=MOST_SAMPLES)
    equality: Equality | None = None


class ImageUrl(ApiObject):
    """Where a picture is."""

    url: str


class ContentPart(ApiObject):
    """One part of a message."""

    type: Literal["text", "image_url", "refusal"]
    text: str = ""
    refusal: str = ""
    image_url: ImageUrl | None = None


class EarlierFunction(ApiObject):
    """A call that an earlier answer made."""

    name: Name
    arguments: str = "{}"


class EarlierCall(ApiObject):
    """The same, with its name in the conversation."""

    id: Name
    type: Literal["function"] = "function"
    function: EarlierFunction


class ChatMessage(ApiObject):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[ContentPart] | None = None
    tool_calls: list[EarlierCall] | None = None
    tool_call_id: str = ""


class OfferedFunction(ApiObject):
    """What a model may call."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None


class OfferedTool(ApiObject):
    """The same, in its wrapping."""

    type: Literal["function"]
    function: OfferedFunction


class ForcedFunction(ApiObject):
    """The name of the tool that has to be called."""

    name: Name


class ForcedTool(ApiObject):
    """The same, in its wrapping."""

    type: Literal["function"]
    function: ForcedFunction


class JsonSchema(ApiObject):
    """What the content of an answer has to fit."""

    model_config = ConfigDict(extra="allow")

    name: str = "answer"
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")


class ResponseFormat(ApiObject):
    """In which form the content of an answer is wanted."""

    model_config = ConfigDict(extra="allow")

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(ApiObject):
    """What a stream has besides."""

    include_usage: bool | None = None


class SampleRequest(BaseModel):
    """What both endpoints have in common."""

    model_config = ConfigDict(extra="allow")

    model: str = "voted"
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    n: int | None = None
    seed: int | None = Field(default=None, ge=-(1 << 63), lt=1 << 63)
    stop: str | Annotated[list[str], Field(max_length=MOST_STOPS)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    surefoot: Overrides = Overrides()

    def forwarded(self) -> dict[str, Any]:
        """Return the fields that go to the server as they are; raises `BadInput` for those that no elected answer can have."""
        extra = {name: value for name, value in (self.model_extra or {}).items() if value is not None}
        wrong = sorted(name for name in _REFUSED & extra.keys() if extra[name] not in (False, 0))
        if wrong:
            raise BadInput(f"an elected answer cannot have {wrong[0]!r}: leave it out")
        if misplaced := sorted(_OF_THE_OTHER_ENDPOINT & extra.keys()):
            raise BadInput(f"{misplaced[0]!r} is no field of this endpoint: leave it out")
        if self.n not in (None, 1):
            raise BadInput(f"n is 1, for one answer is elected, not {self.n!r}")
        kept = {name: extra[name] for name in extra.keys() - _NOT_FORWARDED - _REFUSED}
        return kept if self.stop is None else {**kept, "stop": self.stop}


class ChatRequest(SampleRequest):
    """A POST to `/v1/chat/completions`."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=MOST_MESSAGES)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    tools: list[OfferedTool] | None = Field(default=None, max_length=MOST_TOOLS)
    tool_choice: Literal["auto", "required", "none"] | ForcedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None

    def forwarded(self) -> dict[str, Any]:
        """Return the same with the wanted form, in the client's own words."""
        kept = super().forwarded()
        if self.response_format is not None and self.response_format.type != "text":
            kept["response_format"] = self.response_format.model_dump(by_alias=True, exclude_unset=True)
        return kept


class TextRequest(SampleRequest):
    """A POST to `/v1/completions`."""

    prompt: str | Annotated[list[str], Field(min_length=1, max_length=1)]


def first_mistake(error: ValidationError) -> str:
    """Return where a request is wrong, and why, without quoting it: of the forms that a field may have, in the one that got furthest."""
    if error.error_count() > MOST_MISTAKES:
        return f"the request is wrong in {error.error_count():,} places"
    mistakes = error.errors(include_url=False, include_input=False, include_context=False)
    found = max(mistakes, key=lambda each: len(each["loc"]))
    where = ".".join(str(part)[:64] for part in found["loc"][:8])
    return f"{where + ': ' if where else ''}{found['msg'][:1].lower()}{found['msg'][1:300]}"

"""What the server double reads and says: the OpenAI API from the other side."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, Field, TypeAdapter, field_validator, model_validator

from surefoot.models.base import Message, Prompt
from surefoot.models.offers import Call, Offer, ToolSchema, arguments_of, write_calls
from surefoot.models.tags import Tags
from surefoot.tools.pictures.picture import Picture
from surefoot.voting.samples import Sample


class _Function(BaseModel):
    name: str = Field(pattern=r"^[\w.:-]{1,64}$")
    arguments: str


class _SentCall(BaseModel):
    id: str = Field(min_length=1, max_length=40)
    type: Literal["function"]
    function: _Function


class _Tool(BaseModel):
    class Function(BaseModel):
        name: str
        description: str = ""
        parameters: dict[str, Any] = {}

    type: Literal["function"]
    function: Function


class _ImageUrl(BaseModel):
    url: str

    @field_validator("url")
    @classmethod
    def _here(cls, url: str) -> str:
        """Refuse what would have to be fetched."""
        Picture.of_url(url)
        return url


class _Part(BaseModel):
    type: Literal["text", "image_url"]
    text: str = ""
    image_url: _ImageUrl | None = None


class _Message(BaseModel):
    role: str
    content: str | list[_Part] | None = None
    tool_calls: list[_SentCall] = []
    tool_call_id: str = ""
    reasoning_content: str | None = None

    @property
    def text(self) -> str:
        """The content, and after it the calls, in the text form."""
        calls = [Call(call.function.name, call.function.arguments) for call in self.tool_calls]
        return write_calls(self.prose, calls)

    @property
    def prose(self) -> str:
        """The text of the content, whether in parts or not."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""

    def shown(self) -> Message:
        """Return the message with its pictures."""
        parts = self.content if isinstance(self.content, list) else []
        urls = [part.image_url.url for part in parts if part.image_url]
        return Message(self.role, self.text, tuple(map(Picture.of_url, urls)))


class Body(BaseModel):
    """A request for samples, on either endpoint."""

    model: str
    prompt: str | list[str] = ""
    messages: list[_Message] | None = None
    n: int = 1
    temperature: float = 1.0
    max_tokens: int = 16
    max_completion_tokens: int | None = None
    seed: int | None = None
    stream: bool = False
    echo: bool = False
    stop: str | list[str] = []
    logprobs: bool | int | None = None
    top_logprobs: int = 0
    logit_bias: dict[str, float] = {}
    thinking_token_budget: int | None = None
    chat_template_kwargs: dict[str, bool] = {}
    continue_final_message: bool = False
    stream_options: dict[str, bool] = {}
    tools: list[_Tool] | None = Field(default=None, min_length=1)
    tool_choice: Literal["auto", "required", "none"] = "auto"
    parallel_tool_calls: bool = True

    @property
    def offer(self) -> Offer | None:
        """What the model may call."""
        if self.tools is None:
            return None
        schemas = [
            ToolSchema(tool.name, tool.description, arguments_of(tool.parameters))
            for tool in (tool.function for tool in self.tools)
        ]
        return Offer(tuple(schemas), self.tool_choice, self.parallel_tool_calls)

    @model_validator(mode="after")
    def _answered(self) -> "Body":
        """Refuse calls without results and results without calls, as the API does."""
        waiting: list[str] = []
        for message in self.messages or ():
            if message.role == "tool":
                if message.tool_call_id not in waiting:
                    raise ValueError(f"tool_call_id {message.tool_call_id!r} belongs to no call before it")
                waiting.remove(message.tool_call_id)
            elif waiting:
                break
            waiting += [call.id for call in message.tool_calls]
        if waiting:
            raise ValueError(f"tool_call_ids did not have response messages: {waiting}")
        return self

    @property
    def limit(self) -> int:
        """Most tokens of a sample."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def continuous_usage(self) -> bool:
        """Whether every chunk is to say what has been used so far."""
        return self.stream_options.get("continuous_usage_stats", False)

    def prompts(self) -> list[Prompt]:
        """Return what is asked, a conversation being one prompt."""
        if self.messages is not None:
            return [tuple(message.shown() for message in self.messages)]
        return [self.prompt] if isinstance(self.prompt, str) else [*self.prompt]

    @field_validator("prompt", mode="before")
    @classmethod
    def _spelled_out(cls, given: object) -> object:
        """Make text of token ids, as `token_ids` made them."""
        if isinstance(given, list) and given and all(isinstance(token, int) for token in given):
            return "".join(map(chr, given))
        return given


def token_ids(said: Mapping[str, Any], tags: Tags) -> list[int]:
    """Return what vLLM's /tokenize says of a text or a conversation: here, the code points of what the model is to see."""
    if "messages" not in said:
        return [ord(letter) for letter in said["prompt"]]
    messages = TypeAdapter(list[_Message]).validate_python(said["messages"])
    rendered = "\n".join(message.prose for message in messages)
    return [ord(letter) for letter in rendered + (tags.open if tags.opened else "")]


def echoed(body: Body, samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples, each after its prompt if that is asked for, all samples of the first prompt first."""
    if not body.echo or body.messages is not None:
        return [*samples]
    prompts = body.prompts()
    each = len(samples) // len(prompts)
    return [
        sample._replace(text=f"{prompts[place // each]}{sample.text}") for place, sample in enumerate(samples)
    ]


def refusal(
    status: int, message: str, retry_after: str | None = None, kind: str | None = None
) -> web.Response:
    """Return an error in the API's form."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    error = {"message": message, "code": status, **({"type": kind} if kind else {})}
    return web.json_response({"error": error}, status=status, headers=headers)


def pieces(body: Body, samples: Sequence[Sample]) -> Iterator[dict[str, object]]:
    """Yield the choices of a stream, sample by sample, each in two pieces and an end."""
    for index, sample in enumerate(samples):
        for text, finish in ((sample.text[:2], None), (sample.text[2:], None), ("", sample.finish)):
            yield choice(body, index, text, finish, sample.logprob)


def choice(
    body: Body, index: int, text: str, finish: str | None, logprob: float | None = None
) -> dict[str, object]:
    """Return a choice, or a piece of one, in the form of the endpoint; if asked for, with `logprob` as that of each letter."""
    said: dict[str, object] = {"index": index, "finish_reason": finish}
    if body.logprobs and logprob is not None and text:
        said["logprobs"] = _logprobs(body, text, logprob)
    if body.messages is None:
        return {**said, "text": text}
    if body.stream:
        return {**said, "delta": {"content": text}}
    return {**said, "message": {"role": "assistant", "content": text}}


def _logprobs(body: Body, text: str, logprob: float) -> dict[str, object]:
    if body.messages is None:
        alone = [{letter: logprob} for letter in text]
        return {"tokens": [*text], "token_logprobs": [logprob] * len(text), "top_logprobs": alone}
    told = ({"token": letter, "logprob": logprob, "bytes": [*letter.encode()]} for letter in text)
    return {"content": [{**token, "top_logprobs": []} for token in told]}


def usage(body: Body, samples: Sequence[Sample]) -> dict[str, object]:
    """Count each prompt once, as servers do, however many samples it has."""
    each = max(1, len(samples) // max(1, len(body.prompts())))
    prompt_tokens = sum(sample.usage.prompt for sample in samples[::each])
    completion_tokens = sum(sample.usage.completion for sample in samples)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": None,
    }

"""What servers say besides samples: which models there are, what they can do, what went wrong."""

from pydantic import BaseModel, ConfigDict, Field

from .reported import failure_in_body, quoted


class Wire(BaseModel):
    """Tolerant of fields that nobody here reads, strict about those that are read."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Meta(Wire):
    """What llama.cpp says of a model's file."""

    n_ctx: int | None = None
    """The context in tokens, from llama.cpp."""


class ModelCard(Wire):
    """One model that the server offers."""

    id: str
    owned_by: str | None = None
    max_model_len: int | None = None
    """The context in tokens, from vLLM."""
    meta: Meta | None = None


class ModelList(Wire):
    """What `/v1/models` answers."""

    data: list[ModelCard]


class ServerVersion(Wire):
    """What vLLM's `/version` answers."""

    version: str


class ServerSlots(Wire):
    """What llama.cpp's `/props` answers."""

    total_slots: int = Field(ge=1)


class TokenIds(Wire):
    """What `/tokenize` answers."""

    tokens: list[int]


class RenderedPrompt(Wire):
    """What llama.cpp's `/apply-template` answers."""

    prompt: str


def message_of(body: bytes) -> str:
    """Return the server's own words from the body of an error, in whichever of the usual shapes it comes."""
    return quoted(failure_in_body(body).said)


def kind_of(body: bytes) -> str:
    """Return the kind of error alone, for servers quote the prompt in their own words; "" where they name none."""
    return failure_in_body(body).kind

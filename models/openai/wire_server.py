"""What servers say besides samples: which models there are, what they can do, what went wrong."""

from pydantic import BaseModel, ConfigDict, Field

from .error_bodies import failure_in_body, quoted


class ResponseSchema(BaseModel):
    """Ignores fields that are not read here, strict about those that are."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Meta(ResponseSchema):
    """What llama.cpp says of a model's file."""

    n_ctx: int | None = None
    """The context in tokens, from llama.cpp."""


class ModelCard(ResponseSchema):
    """One model that the server offers."""

    id: str
    owned_by: str | None = None
    max_model_len: int | None = None
    """The context in tokens, from vLLM."""
    meta: Meta | None = None


class ModelList(ResponseSchema):
    """What `/v1/models` answers."""

    data: list[ModelCard]


class ServerVersion(ResponseSchema):
    """What vLLM's `/version` answers."""

    version: str


class ServerSlots(ResponseSchema):
    """What llama.cpp's `/props` answers."""

    total_slots: int = Field(ge=1)


class TokenIds(ResponseSchema):
    """What `/tokenize` answers."""

    tokens: list[int]


class RenderedPrompt(ResponseSchema):
    """What llama.cpp's `/apply-template` answers."""

    prompt: str


def message_of(body: bytes) -> str:
    """Return the server's own words from the body of an error, in whichever of the usual shapes it comes."""
    return quoted(failure_in_body(body).said)


def error_kind(body: bytes) -> str:
    """Return the kind of error alone, for servers quote the prompt in their own words; "" where they name none."""
    return failure_in_body(body).kind

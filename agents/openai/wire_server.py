"""What servers say besides samples: which models there are, what they can do, what went wrong."""

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MESSAGE_CHARACTERS = 300
"""How much of a server's own error message is quoted."""


class Wire(BaseModel):
    """Tolerant of fields that nobody here reads, strict about those that are read."""

    model_config = ConfigDict(strict=True, extra="ignore")


class _Meta(Wire):
    n_ctx: int | None = None
    """The context in tokens, from llama.cpp."""


class ModelCard(Wire):
    """One model that the server offers."""

    id: str
    owned_by: str | None = None
    max_model_len: int | None = None
    """The context in tokens, from vLLM."""
    meta: _Meta | None = None


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
    for shape in (_Wrapped, _Bare, _Detail):
        try:
            text = shape.model_validate_json(body).text
        except ValidationError:
            continue
        return " ".join(text.split())[:MESSAGE_CHARACTERS]
    text = body.decode(errors="replace").strip()
    return "" if text.startswith("<") else " ".join(text.split())[:MESSAGE_CHARACTERS]


def kind_of(body: bytes) -> str:
    """Return the kind of error alone, for servers quote the prompt in their own words; "" where they name none."""
    try:
        error = _Kinds.model_validate_json(body)
    except ValidationError:
        return ""
    kind = (error.error or error).type or ""
    return kind if kind.isidentifier() else ""


class _Kind(Wire):
    type: str | None = None


class _Kinds(_Kind):
    error: _Kind | None = None


class _Bare(Wire):
    message: str

    @property
    def text(self) -> str:
        return self.message


class _Wrapped(Wire):
    error: _Bare | str

    @property
    def text(self) -> str:
        return self.error if isinstance(self.error, str) else self.error.message


class _Detail(Wire):
    detail: str

    @property
    def text(self) -> str:
        return self.detail


def error_in(data: str) -> str | None:
    """Return the server's own words if this is an error."""
    try:
        return _Wrapped.model_validate_json(data).text
    except ValidationError:
        return None

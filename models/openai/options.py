"""What a user may set about the model server."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic_core import to_json

from surefoot.errors import BadInput
from surefoot.models.keys import is_key
from surefoot.typed_input import check_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A request has failed and will be tried again."""

    server: str
    """The address of the server, without credentials."""
    error: str
    """What went wrong, in one sentence."""
    attempt: int
    """How many times the request has failed."""
    next_try_s: float
    """Seconds until it is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an OpenAI-compatible server is asked; times are in seconds."""

    api_key: str | None = field(default=None, repr=False)
    """Sent to the server, and in no message and no `repr`."""
    session: str | None = None
    """Sent as the header `x-session-id`: a router such as vllm-router keeps on one server what has it in common, the name of a job, say."""
    extra: Mapping[str, object] = field(default_factory=dict)
    """Merged into every request: `{"top_k": 0, "min_p": 0}` for llama.cpp, which truncates the distribution unasked."""
    stop: tuple[str, ...] = ()
    """Strings at which the model stops."""
    seeded: bool = False
    """Send the seed of each ask, each ask as a request of its own: reproducible where the server is, but slower.

    A seed in a request for several samples would correlate them, so without this none is sent.
    """
    logprobs: bool = False
    """Ask for the log-probability of every token, so that samples have a `logprob`, which the red flag `Unsure` looks at."""
    stream: bool = False
    """Receive tokens as they are made: for servers that notice only then that the client has gone."""
    chat_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the token limit is called on the chat endpoint."""
    tools: Literal["native", "text"] | None = None
    """How a model is offered tools: by the server's function calling, or in words; None: as it turns out when it is tried."""
    max_n: int = 128
    """Most samples of one prompt in a request; llama.cpp takes no more than it has slots."""
    max_batch: int = 128
    """Most samples in a request, prompts times samples of each."""
    max_in_flight: int = 256
    """Ceiling for the limit of requests in flight, which adapts to the server."""
    connect_s: float = 5.0
    """Longest wait for a connection."""
    first_token_s: float | None = None
    """Longest wait for the first token, or for the first byte without `stream`: most servers send it with the last."""
    total_s: float = 300.0
    """Longest duration of one request, after which it is tried again."""
    patience_s: float = 600.0
    """How long a request is tried again and again through an outage before `ModelUnavailable`."""
    hedge: float = 0.0
    """Share of all asks that may be asked of a second replica, too, where they are late; takes several servers of one model, see `Replicas`."""
    compare: float = 0.0
    """Share of all asks that two more replicas are asked, too, so that one that differs is found; takes three servers or more."""
    on_wait: Callable[[Wait], None] | None = None
    """Called before each pause, for a display."""
    on_back: Callable[[], None] | None = None
    """Called at the first answer after a pause."""

    on_notice: Callable[[str], None] | None = None
    """Called with what the probe has found that a person should know, a sentence each."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.session is not None and not is_key(self.session):
            raise BadInput(
                f"a session is visible ASCII without blanks, for it goes into a header, not {self.session!r}"
            )
        try:
            to_json(self.extra)
        except ValueError as error:
            raise BadInput(f"the fields of every request cannot be written as JSON ({error})") from None
        for what in ("max_n", "max_batch", "max_in_flight"):
            if getattr(self, what) < 1:
                raise BadInput(f"{what} must be at least 1, not {getattr(self, what)!r}")
        for what in ("connect_s", "first_token_s", "total_s"):
            seconds = getattr(self, what)
            if seconds is not None and not seconds > 0:
                raise BadInput(f"{what} is a number of seconds above 0, not {seconds!r}")
        for what in ("hedge", "compare"):
            if not 0 <= getattr(self, what) <= 1:
                raise BadInput(f"{what} is a share of all asks between 0 and 1, not {getattr(self, what)!r}")
        if not self.patience_s >= 0:
            raise BadInput(f"patience_s is a number of seconds from 0 on, not {self.patience_s!r}")

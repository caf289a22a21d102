"""From the command line to how a model server is asked."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from typer import Option

import surefoot
from surefoot.errors import BadInput
from surefoot.models.keys import VARIABLES, key_in

LIMITS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True)
class ServerOptions:
    """How a model server is asked."""

    model_name: Annotated[
        str | None, Option(help="Which of the server's models; not needed if it has one.")
    ] = None
    api_key: Annotated[
        str | None,
        Option(
            envvar=[*VARIABLES],
            help="Sent to the model server; others see it in the list of processes, so rather set the variable.",
            show_envvar=True,
        ),
    ] = None
    api_key_file: Annotated[Path | None, Option(help="A file that holds the API key and nothing else.")] = (
        None
    )
    chat_limit: Annotated[
        str | None,
        Option(
            help="The token limit's name in chat: `max_tokens` or `max_completion_tokens`; found out if absent."
        ),
    ] = None
    session: Annotated[
        str | None, Option(help="Sent as x-session-id, for a router that keeps a job on one server.")
    ] = None
    hedge: Annotated[
        float,
        Option(help="Share of asks that a second of several servers may get, too, where they are late."),
    ] = 0.0
    compare: Annotated[
        float,
        Option(help="Share of asks that two more of several servers get, too, to find one that differs."),
    ] = 0.0
    option: Annotated[
        list[str] | None,
        Option(metavar="NAME=VALUE", help="A field of every request, as JSON or text; may be repeated."),
    ] = None

    def address(self, model: str) -> str:
        """Return a model's address with its name on the server, see `open_model`."""
        return model if self.model_name is None else f"{model}#{self.model_name}"

    def other(self, model: str | None) -> str | None:
        """Return the address of another model than a job began with, None for the same; `BadInput` for a name without a server."""
        if model is not None:
            return self.address(model)
        if self.model_name is not None:
            raise BadInput(
                f"--model-name {self.model_name!r} is a name on a server: give the server's address with --model too"
            )
        return None

    def made(self) -> "surefoot.Options":
        """Return the client's options; raises `BadInput` for what cannot be one."""
        if self.chat_limit not in (None, *LIMITS):
            raise BadInput(f"--chat-limit is one of {', '.join(LIMITS)}, not {self.chat_limit!r}")
        return surefoot.Options(
            api_key=self.api_key if self.api_key_file is None else key_in(self.api_key_file),
            chat_limit=cast(Literal["max_tokens", "max_completion_tokens"], self.chat_limit or LIMITS[0]),
            session=self.session,
            hedge=self.hedge,
            compare=self.compare,
            extra=dict(map(_field, self.option or ())),
        )


def _field(said: str) -> tuple[str, Any]:
    name, equals, value = said.partition("=")
    if not name or not equals:
        raise BadInput(f"--option is NAME=VALUE, such as top_k=0, not {said!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value

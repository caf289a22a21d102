"""Where keys come from, and where they do not go."""

import os
from collections.abc import Mapping
from pathlib import Path

from surefoot.errors import BadInput

VARIABLES = ("SUREFOOT_API_KEY", "OPENAI_API_KEY")
"""What holds the key of a model server, the first that is set."""
OPENAI = "openai"
"""The address of the server that the variables of OpenAI's own client name."""
OPENAI_URL = "https://api.openai.com/v1"
MOST_BYTES = 64 << 10


def located(address: str, api_key: str | None = None) -> tuple[str, str | None, str | None]:
    """Return (URL, model, key) of a model's address.

    `openai` is $OPENAI_BASE_URL, or OpenAI itself, with the key of $OPENAI_API_KEY; any other address gets the key that is
    given and no other, for it is not to be sent to just any server.
    """
    url, _, name = address.partition("#")
    if url == OPENAI:
        url = os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
        api_key = api_key or os.environ.get("OPENAI_API_KEY")
    return url, name or None, api_key


def key_in(file: Path) -> str:
    """Return the key in a file, which is all that the file holds; raises `BadInput` without quoting it."""
    try:
        if not file.is_file():
            raise BadInput(f"the API key cannot be read from {str(file)!r}: it is no file")
        with file.open("rb") as opened:
            key = opened.read(MOST_BYTES).decode().strip()
    except OSError as error:
        raise BadInput(f"the API key cannot be read from {str(file)!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        key = ""
    if not is_key(key):
        raise BadInput(f"there is no API key in {str(file)!r}: it should hold one and nothing else")
    return key


def is_key(text: str) -> bool:
    """Say whether a text can be a key, which travels in a header: visible ASCII without blanks."""
    return text.isascii() and text.isprintable() and text != "" and " " not in text


def without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a process that asks no model."""
    return {name: value for name, value in environment.items() if name not in VARIABLES}


def forget_keys() -> None:
    """Take the keys out of the environment of this process, which asks no model with them, and so of all that it starts."""
    for name in VARIABLES:
        os.environ.pop(name, None)

"""A picture as it travels: an encoded image, and where it comes from."""

import re
from base64 import b64decode, b64encode
from contextlib import suppress
from hashlib import sha256
from typing import Any, NamedTuple, Self

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,")


class Picture(NamedTuple):
    """One still image, encoded."""

    data: bytes
    """The file's bytes."""
    media: str = "image/png"
    """The media type that they are of."""

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hexadecimal: what a picture goes by in records and caches."""
        return sha256(self.data).hexdigest()

    @property
    def url(self) -> str:
        """The picture as a data URL, which is how a server is shown it."""
        return f"data:{self.media};base64,{b64encode(self.data).decode()}"

    @classmethod
    def of_url(cls, url: str) -> Self:
        """Return the picture of a data URL; raises `ValueError` for any other address, and for what is no base64."""
        found = _DATA_URL.match(url)
        if found is None:
            raise ValueError(f"a picture comes as data:image/...;base64,..., not as {url[:40]!r}")
        try:
            return cls(b64decode(url[found.end() :], validate=True), found[1])
        except ValueError as error:
            raise ValueError(f"the data URL of a picture is no base64: {error}") from None

    def __repr__(self) -> str:
        # Prompts are shown in messages: a picture's bytes tell nobody anything.
        return f"Picture({self.digest[:12]}, {len(self.data):,} bytes of {self.media})"


def without_bytes(value: Any) -> Any:
    """Return a plain value with the name of a picture wherever its data URL stands: what reports show of a job's arguments."""
    if isinstance(value, str) and value.startswith("data:image/"):
        with suppress(ValueError):
            return repr(Picture.of_url(value))
    if isinstance(value, dict):
        return {name: without_bytes(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_bytes(each) for each in value]
    if isinstance(value, tuple):
        return tuple(map(without_bytes, value))
    return value

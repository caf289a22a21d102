"""What keeps together on one replica, whose prefix cache then serves: rendezvous hashing."""

from collections.abc import Iterator
from hashlib import blake2b

from surefoot.models.base import Ask, Message

BEGINNING = 4096
"""Characters of a prompt that are looked at."""


def beginning(ask: Ask) -> str:
    """Return the beginning of a prompt: of a conversation all up to the first message of the user, so that its turns keep together."""
    if isinstance(ask.prompt, str):
        return ask.prompt[:BEGINNING]
    return "\0".join(_opening(ask.prompt))[:BEGINNING]


def digest(key: str) -> bytes:
    """Return a key as `weight` takes it."""
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def weight(key: bytes, server: str) -> int:
    """Return the weight of a server for a key: the heaviest is the key's own.

    Highest random weight (Thaler and Ravishankar 1998, IEEE/ACM Trans. Netw. 6:1): of n servers one that comes or goes moves the n-th
    part of the keys, and every client finds the same.
    """
    return int.from_bytes(blake2b(server.encode(), key=key, digest_size=8).digest())


def _opening(messages: tuple[Message, ...]) -> Iterator[str]:
    for message in messages:
        yield f"{message.role}\0{message.content[:BEGINNING]}"
        if message.role == "user":
            return

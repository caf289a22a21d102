"""Lua scripts that run on any server, whether it has loaded them or not."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any

from redis.exceptions import NoScriptError


@dataclass(frozen=True)
class Script:
    """A Lua text and the digest by which EVALSHA names it."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", sha1(self.text.encode(), usedforsecurity=False).hexdigest())

    async def run(
        self,
        execute: Callable[..., Awaitable[Any]],
        keys: Sequence[str],
        args: Sequence[str | bytes | int | float] = (),
    ) -> Any:
        """Run it by its digest, or by its text where the server does not know it; `execute` sends one command.

        Not as redis-py does, by loading the text and trying the digest again: a fail-over may come between the two.
        """
        call = (len(keys), *keys, *args)
        try:
            return await execute("EVALSHA", self.sha, *call)
        except NoScriptError:
            return await execute("EVAL", self.text, *call)

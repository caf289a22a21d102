"""glance, the micro vision-language model that comes with this package, as a `Model`: many looks in one pass."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from surefoot.errors import BadInput
from surefoot.models.base import Ask
from surefoot.tools.pictures.picture import Picture
from surefoot.voting.samples import Sample

from .reader import look_of, sample_of, shows

if TYPE_CHECKING:
    from surefoot.models.embedded.glance import Glance, GlanceAnswer, GlanceQuestion, Pixels

NAME = "glance"
LIBRARIES = ("numpy", "PIL", "safetensors")
KNOWN_PICTURES = 512
"""Pictures that are kept as the network sees them, 19 kB each: votes on one come close together."""
KNOWN_ANSWERS = 4096
PASS = 64
"""Looks that are answered together."""

_Key = tuple[str, str, float, int, int]
"""All that an answer depends on: picture, question, temperature, seed and limit."""


class GlanceModel:
    """Short questions about drawn boards, charts, scenes and frames; `surefoot/models/embedded/weights/glance/CARD.md` says which, and how well.

    A token is a character, and a picture costs none.  A question that it has no room for, or not in ASCII, gets no answer, and no end: a red flag.
    Raises `BadInput` if the extra `vision` is not installed, and for an ask that is not about one picture.
    """

    name = NAME

    def __init__(self) -> None:
        if lacking := [library for library in LIBRARIES if find_spec(library) is None]:
            raise BadInput(f"{NAME} needs {' and '.join(lacking)}: `pip install 'surefoot[vision]'`")
        engine = import_module("surefoot.models.embedded.glance")
        self._network: Glance = engine.Glance()
        self._look: type[GlanceQuestion] = engine.GlanceQuestion
        self._most: int = engine.ROOM - 2
        self._seen: Callable[[Picture], Pixels] = lru_cache(KNOWN_PICTURES)(engine.seen)
        self._known: OrderedDict[_Key, GlanceAnswer | None] = OrderedDict()

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask; see `Model`."""
        keys = [self._key(ask) for ask in asks]
        for first in range(0, len(asks), PASS):
            part = range(first, min(first + PASS, len(asks)))
            new = {keys[place]: asks[place] for place in part if keys[place] not in self._known}
            found = {keys[place]: self._known[keys[place]] for place in part if keys[place] not in new}
            if new:
                # Numpy lets the event loop run while it multiplies.
                found |= self._keep(await asyncio.to_thread(self._answered, new))
            for place in part:
                yield place, _sample(found[keys[place]], asks[place])

    def draw(self, ask: Ask) -> Sample:
        """Return the sample of one ask at once, as a server calls it; "" where there is no picture, for clients try a server by text."""
        if not shows(ask):
            return sample_of("", ask)
        key = self._key(ask)
        if key not in self._known:
            self._keep(self._answered({key: ask}))
        return _sample(self._known[key], ask)

    def delay(self, ask: Ask) -> float:
        """Return 0: a look takes the time that it takes."""
        return 0.0

    def _key(self, ask: Ask) -> _Key:
        picture, question, _ = look_of(ask, NAME)
        return picture.digest, question, ask.temperature, ask.seed, ask.max_tokens

    def _answered(self, asks: Mapping[_Key, Ask]) -> dict[_Key, "GlanceAnswer | None"]:
        can = {key: ask for key, ask in asks.items() if key[1].isascii() and 0 < len(key[1]) <= self._most}
        looks = [
            self._look(self._seen(look_of(ask, NAME).picture), question, temperature, seed, most)
            for (_, question, temperature, seed, most), ask in can.items()
        ]
        answers = dict(zip(can, self._network.answer(looks), strict=True))
        return {key: answers.get(key) for key in asks}

    def _keep(self, found: dict[_Key, "GlanceAnswer | None"]) -> dict[_Key, "GlanceAnswer | None"]:
        self._known.update(found)
        while len(self._known) > KNOWN_ANSWERS:
            self._known.popitem(last=False)
        return found


def _sample(seen: "GlanceAnswer | None", ask: Ask) -> Sample:
    if seen is None:
        return sample_of("", ask, None)
    return sample_of(seen.text, ask, "stop" if seen.ended else "length", tokens=len(seen.text) + seen.ended)

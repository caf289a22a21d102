"""What is known of users in Redis: their newest signals, and the description of each.

| key | type | content |
| --- | --- | --- |
| `surefoot:preferences:{USER}` | hash | `born`, `added`, `read`; once there is a description `description`, `version`, `signals`; after an edit `edited` |
| `surefoot:preferences:{USER}:signals` | list | the newest signals as lines of JSON, the oldest first |

`added` counts signals ever added, `read` those of them that had come when a description was last accepted or edited.  A signal that is told again
keeps its place.  `born` is drawn anew after a deletion: an update that began before it writes nothing.  `edited` is drawn by each edit.  Plain
commands and Lua calls: Redis >= 6.2, Valkey, managed offerings.  Every write may be repeated, as a client that has lost a reply does.
"""

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.asyncio import Redis

from surefoot.agents.preferences import ChoiceSignal, Preference
from surefoot.agents.preferences.preference import check_user, description_of
from surefoot.agents.preferences.signal import read_line, written_line
from surefoot.errors import BadInput
from surefoot.orchestration.journal.records import CorruptJournal
from surefoot.orchestration.journal.snapshots import reading, text, whole_number
from surefoot.orchestration.redis.script import Script

MOST = 64
"""Signals of a user that are kept."""

_CHECK = """
for i, kind in ipairs({'hash', 'list'}) do
    local found = redis.call('TYPE', KEYS[i]).ok
    if found ~= kind and found ~= 'none' then return {'type'} end
end
"""
_READ = Script(
    f"{_CHECK}return {{'ok', redis.call('HGETALL', KEYS[1]), redis.call('LRANGE', KEYS[2], 0, -1)}}"
)

_ADD = Script(f"""{_CHECK}
-- KEYS user, signals; ARGV born, most, line*
redis.call('HSETNX', KEYS[1], 'born', ARGV[1])
local added = 0
for i = 3, #ARGV do
    if not redis.call('LPOS', KEYS[2], ARGV[i]) then -- the same choice told twice, or only the reply was lost
        redis.call('RPUSH', KEYS[2], ARGV[i])
        added = added + 1
    end
end
redis.call('HINCRBY', KEYS[1], 'added', added)
redis.call('LTRIM', KEYS[2], -ARGV[2], -1)
return {{'ok', added}}
""")

_EDIT = Script(f"""{_CHECK}
-- KEYS user, signals; ARGV born, description, edited
redis.call('HSETNX', KEYS[1], 'born', ARGV[1])
if redis.call('HGET', KEYS[1], 'edited') ~= ARGV[3] then -- else only the reply was lost
    redis.call('HINCRBY', KEYS[1], 'version', 1)
    local added = redis.call('HGET', KEYS[1], 'added') or '0' -- what was told before says less than the user's own word
    redis.call('HSET', KEYS[1], 'description', ARGV[2], 'signals', 0, 'read', added, 'edited', ARGV[3])
end
return {{'ok', unpack(redis.call('HMGET', KEYS[1], 'description', 'version', 'signals'))}}
""")

_ACCEPT = Script(f"""{_CHECK}
-- KEYS user, signals; ARGV born, version, description, signals shown, signals read
local now = redis.call('HMGET', KEYS[1], 'born', 'version', 'description')
local version = tonumber(now[2] or 0)
if now[1] ~= ARGV[1] then return {{'moved'}} end
if version == ARGV[2] + 1 and now[3] == ARGV[3] then return {{'ok'}} end -- written before, and only the reply was lost
if version ~= tonumber(ARGV[2]) then return {{'moved'}} end
redis.call('HSET', KEYS[1], 'description', ARGV[3], 'version', version + 1, 'read', ARGV[5])
redis.call('HINCRBY', KEYS[1], 'signals', ARGV[4])
return {{'ok'}}
""")


class Known(NamedTuple):
    """All that is kept of a user."""

    preference: Preference
    signals: tuple[ChoiceSignal, ...] = ()
    """The newest ones, the oldest of them first."""
    added: int = 0
    """Signals ever added."""
    fresh: int = 0
    """So many of the last `signals` have come since a description was last accepted or edited."""
    born: str = ""


class Preferences:
    """The preferences that one Redis holds.

    async with open_redis("redis://host:6379") as redis:
        preferences = Preferences(redis)
        await preferences.add("ada", ChoiceSignal("How do I sort a list?", chosen="sorted(list)", rejected="There are many ways ..."))
        task = WithPreference(Goal("Plan a weekend."), await preferences.get("ada"))
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def add(self, user: str, *signals: ChoiceSignal) -> int:
        """Add what a user chose, the newest last, and return how many of these were new; the newest 64 of all are kept."""
        check_user(user)
        if not signals:
            return 0
        lines = [written_line(each) for each in signals[-MOST:]]
        _, added = await self._run(_ADD, user, secrets.token_hex(8), MOST, *lines)
        return int(added)

    async def get(self, user: str) -> Preference:
        """Return a user's description, an empty one where nothing is known of them.  `CorruptJournal` for what is not as it was written."""
        found = await self._known(user)
        return Preference(user=user) if found is None else found.preference

    async def read(self, user: str) -> Known:
        """Return all that is kept of a user; `BadInput` if that is nothing."""
        found = await self._known(user)
        if found is None:
            raise _nothing(user)
        return found

    async def edit(self, user: str, description: str) -> Preference:
        """Give a user another description, their own, and return it; it is not judged, and signals from before are not learnt from any more."""
        check_user(user)
        given = (secrets.token_hex(8), description_of(description), secrets.token_hex(8))
        _, said, version, signals = await self._run(_EDIT, user, *given)
        with reading(_what(user)):
            return Preference(
                user=user,
                description=text(said),
                version=whole_number(text(version)),
                signals=whole_number(text(signals)),
            )

    async def accept(self, known: Known, description: str, shown: int) -> bool:
        """Write a description that rests on `shown` more signals; returns False if somebody has edited or deleted what was `known`."""
        old = known.preference
        given = (known.born, old.version, description_of(description), shown, known.added)
        said, *_ = await self._run(_ACCEPT, old.user, *given)
        return text(said) == "ok"

    async def delete(self, user: str) -> None:
        """Delete all that is kept of a user, readable or not; jobs that have begun with their description keep it.  `BadInput` if that is nothing."""
        await self.check_kept(user)
        await self._redis.delete(*_keys(user))  # none of them, if it is repeated because the reply was lost

    async def check_kept(self, user: str) -> None:
        """Raise `BadInput` if nothing is kept of a user; it need not be readable."""
        check_user(user)
        if not await self._redis.exists(*_keys(user)):
            raise _nothing(user)

    async def _known(self, user: str) -> Known | None:
        check_user(user)
        _, fields, lines = await self._run(_READ, user)
        with reading(_what(user)):
            return _read(user, [text(each) for each in fields], lines) if fields or lines else None

    async def _run(self, script: Script, user: str, *given: str | int) -> list[Any]:
        """Return what a script says, a word first; `CorruptJournal` if that is that a key has another type."""
        said: list[Any] = await script.run(self._redis.execute_command, _keys(user), given)
        if text(said[0]) == "type":
            raise CorruptJournal(f"{_what(user)} is not of the type that was written")
        return said


def _read(user: str, flat: Sequence[str], lines: Sequence[bytes | str]) -> Known:
    fields = dict(zip(flat[::2], flat[1::2], strict=True))

    def count(name: str) -> int:
        return whole_number(fields.get(name, "0"))

    preference = Preference(
        user=user,
        description=fields.get("description", ""),
        version=count("version"),
        signals=count("signals"),
    )
    signals = tuple(map(read_line, lines))
    fresh = min(len(signals), max(0, count("added") - count("read")))
    return Known(preference, signals, count("added"), fresh, fields["born"])


def _keys(user: str) -> list[str]:
    key = f"surefoot:preferences:{{{user}}}"
    return [key, f"{key}:signals"]


def _what(user: str) -> str:
    return f"what is kept of user {user!r}"


def _nothing(user: str) -> BadInput:
    return BadInput(f"nothing is kept of user {user!r}: add signals, or write a description of your own")

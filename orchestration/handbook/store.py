"""The handbook in Redis: behaviours by the name of the task that they are for, and how often each was used.

| key | type | content |
| --- | --- | --- |
| `surefoot:handbooks` | set | names of tasks that have, or had, behaviours |
| `surefoot:handbook:{TASK}` | hash | `text:NAME`, `job:NAME`, `uses:NAME`, `successes:NAME` of each behaviour |
| `surefoot:handbook:{TASK}:jobs` | set | jobs that have been counted; stays when behaviours go, so that none is counted twice |

The keys of a task share a hash tag, as a job's do.  Plain commands and Lua calls: Redis >= 6.2, Valkey, managed offerings.  Every write may
be repeated, as a client that has lost a reply does.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis

from surefoot.agents.handbook import Behaviour, WithHandbook
from surefoot.agents.handbook.behaviour import MOST_USES
from surefoot.agents.tasks.around import outer_layer
from surefoot.errors import BadInput
from surefoot.orchestration.journal import jobs
from surefoot.orchestration.journal.records import CorruptJournal
from surefoot.orchestration.journal.snapshots import reading, text, whole_number
from surefoot.orchestration.redis.script import Script

TASKS = "surefoot:handbooks"
OVER = ("done", "failed")
"""Statuses of jobs that are counted."""
NAMED = 10
"""Names in a sentence."""

_EDIT = Script("""
-- KEYS behaviours; ARGV name, instruction
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'hash' then return kind end
local old = redis.call('HGET', KEYS[1], 'text:' .. ARGV[1])
if not old then return 'none' end
if old ~= ARGV[2] then -- which no job has taught, and none has used
    redis.call('HSET', KEYS[1], 'text:' .. ARGV[1], ARGV[2], 'job:' .. ARGV[1], '')
    redis.call('HSET', KEYS[1], 'uses:' .. ARGV[1], 0, 'successes:' .. ARGV[1], 0)
end
return 'hash'
""")

_DELETE = Script("""
-- KEYS behaviours; ARGV name
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'hash' then return kind end
local fields = {'text:' .. ARGV[1], 'job:' .. ARGV[1], 'uses:' .. ARGV[1], 'successes:' .. ARGV[1]}
local gone = redis.call('HDEL', KEYS[1], unpack(fields))
return gone > 0 and 'hash' or 'none'
""")

_COUNT = Script("""
-- KEYS behaviours, counted jobs; ARGV job, 1 if it was solved or 0, the most uses, (name, instruction)*
if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 1 then return 'before' end -- or only the reply was lost
local said = 'nothing'
for i = 4, #ARGV, 2 do
    -- What was deleted or edited since is not what the job had.
    if redis.call('HGET', KEYS[1], 'text:' .. ARGV[i]) == ARGV[i + 1] then
        said = 'counted'
        redis.call('SADD', KEYS[2], ARGV[1])
        -- One that is used so often counts no further: more would not be read back.
        if tonumber(redis.call('HGET', KEYS[1], 'uses:' .. ARGV[i])) < tonumber(ARGV[3]) then
            redis.call('HINCRBY', KEYS[1], 'uses:' .. ARGV[i], 1)
            redis.call('HINCRBY', KEYS[1], 'successes:' .. ARGV[i], ARGV[2])
        end
    end
end
return said
""")


class Handbook:
    """The behaviours that one Redis holds.

    async with open_redis("redis://host:6379") as redis:
        handbook = Handbook(redis)
        await handbook.put(behaviour)
        task = WithHandbook(Towers(10), await handbook.find("towers"))
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def find(self, task: str) -> list[Behaviour]:
        """Return the behaviours for tasks of this name, in the order of their own.  `CorruptJournal` for what is not as it was written."""
        with reading(f"the handbook of task {task!r}"):
            raw = await self._redis.hgetall(_key(task))
            return _behaviours(task, {text(field): text(value) for field, value in raw.items()})

    async def every(self) -> list[Behaviour]:
        """Return all behaviours, in the order of tasks and names."""
        with reading(f"the list of tasks, {TASKS!r},"):
            tasks = sorted(map(text, await self._redis.smembers(TASKS)))
        return [each for task in tasks for each in await self.find(task)]

    async def get(self, task: str, name: str) -> Behaviour:
        """Return one behaviour; `BadInput` if there is none of this name."""
        found = {each.name: each for each in await self.find(task)}
        if name not in found:
            raise await self._unknown(task, name, found)
        return found[name]

    async def put(self, *behaviours: Behaviour) -> None:
        """Write behaviours as they are, counts included; each takes the place of one of the same task and name."""
        by_task: dict[str, list[Behaviour]] = {}
        for each in behaviours:
            by_task.setdefault(each.task, []).append(each)
        for task, found in by_task.items():
            with reading(f"the list of tasks, {TASKS!r},"):
                await self._redis.sadd(TASKS, task)
            with reading(f"the handbook of task {task!r}"):
                await self._redis.hset(_key(task), mapping=_fields(found))

    async def edit(self, task: str, name: str, instruction: str) -> Behaviour:
        """Give a behaviour another instruction, and return it; its counts begin again and no job taught it: both were of the old one."""
        edited = Behaviour(name=name, instruction=instruction, task=task)
        await self._run(_EDIT, task, name, edited.instruction)
        return await self.get(task, name)

    async def delete(self, task: str, name: str) -> None:
        """Delete a behaviour; jobs that have begun with it keep it.  `BadInput` if there is none of this name."""
        await self._run(_DELETE, task, name)

    async def count(self, job: str) -> bool:
        """Count a finished job as one use of each behaviour that it had, and as a success if it was solved.

        A job is counted once, however often this is called; returns whether it was now.  What was edited or deleted since is left out, and
        where nothing is left the job is not counted.  Raises `BadInput` if the job had no handbook, is not over, or had behaviours that are kept
        for other tasks alone.
        """
        found = await jobs.load(self._redis, job)
        task, pairs = _had(found.task, found.spec)
        if pairs is None:
            raise BadInput(f"job {job!r} had no handbook: it is of task {found.task!r}")
        if found.status not in OVER:
            raise BadInput(f"job {job!r} is {found.status}: count it when it is over")
        await self.find(task)  # a count that is none is told of before anything is written
        solved = int(found.status == "done")
        given: list[str | int] = [job, solved, MOST_USES, *(part for pair in pairs for part in pair)]
        said = text(await _COUNT.run(self._redis.execute_command, _keys(task), given))
        if said == "nothing":
            others = {each.task for each in await self.every() if (each.name, each.instruction) in pairs}
            if others:
                raise BadInput(
                    f"job {job!r} is of task {task!r}, and its behaviours are kept for {', '.join(sorted(others)[:NAMED])}: "
                    f"put them for {task!r} first"
                )
        return said == "counted"

    async def _run(self, script: Script, task: str, name: str, *given: str) -> None:
        kind = text(await script.run(self._redis.execute_command, _keys(task), [name, *given]))
        if kind == "none":
            raise await self._unknown(task, name, [each.name for each in await self.find(task)])
        if kind != "hash":
            raise CorruptJournal(f"the handbook of task {task!r} is not of the type that was written")

    async def _unknown(self, task: str, name: str, known: Iterable[str]) -> BadInput:
        names = sorted(known)
        if names:
            more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
            return BadInput(
                f"there is no behaviour {name!r} for task {task!r}; there are {', '.join(names[:NAMED])}{more}"
            )
        tasks = sorted({each.task for each in await self.every()})
        others = f"there are some for {', '.join(tasks[:NAMED])}" if tasks else "the handbook is empty"
        return BadInput(f"there is no behaviour {name!r} for task {task!r}; {others}")


def _had(task: str, spec: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]] | None]:
    """Return the name of a job's own task, and the behaviours of all handbooks around it, as pairs; None if there was no handbook."""
    pairs: list[tuple[str, str]] | None = None
    while layer := outer_layer(task, spec):
        if layer.kind is WithHandbook:
            pairs = [*(pairs or ()), *map(tuple, spec["behaviours"])]
        task, spec = layer.task, layer.spec
    return task, pairs and [*dict.fromkeys(pairs)]


def _key(task: str) -> str:
    return f"surefoot:handbook:{{{task}}}"


def _keys(task: str) -> list[str]:
    return [_key(task), f"{_key(task)}:jobs"]


def _fields(behaviours: Sequence[Behaviour]) -> dict[Any, str | int]:
    found: dict[Any, str | int] = {}
    for each in behaviours:
        found[f"text:{each.name}"], found[f"job:{each.name}"] = each.instruction, each.job
        found[f"uses:{each.name}"], found[f"successes:{each.name}"] = each.uses, each.successes
    return found


def _behaviours(task: str, fields: Mapping[str, str]) -> list[Behaviour]:
    names = sorted(field.removeprefix("text:") for field in fields if field.startswith("text:"))
    return [
        Behaviour(
            name=name,
            instruction=fields[f"text:{name}"],
            task=task,
            uses=whole_number(fields[f"uses:{name}"]),
            successes=whole_number(fields[f"successes:{name}"]),
            job=fields[f"job:{name}"],
        )
        for name in names
    ]

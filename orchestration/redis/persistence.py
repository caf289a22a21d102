"""Whether a Redis forgets: said when a job begins, before anything is spent on verdicts that it may lose."""

from redis.asyncio import Redis
from redis.exceptions import ResponseError


async def forgetful(redis: Redis) -> list[str]:
    """Return what this Redis is set up to forget, a sentence each; nothing where it does not tell (INFO may be forbidden)."""
    try:
        kept, memory = await redis.info("persistence"), await redis.info("memory")
    except ResponseError:
        return []
    found = []
    if kept.get("aof_enabled") == 0:
        found.append(
            f"this Redis writes no append-only file, so {await _after_a_restart(redis)}: set `appendonly yes` to lose nothing"
        )
    policy = str(memory.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction" and memory.get("maxmemory") != 0:
        what = "records of jobs" if policy.startswith("allkeys") else "the leases of running jobs"
        found.append(
            f"this Redis throws {what} away when its memory is full (maxmemory-policy {policy}): "
            "set `maxmemory-policy noeviction` to lose nothing"
        )
    return found


async def _after_a_restart(redis: Redis) -> str:
    try:
        save = (await redis.config_get("save")).get("save")
    except ResponseError:
        save = None  # managed offerings forbid CONFIG
    if save == "":
        return "the job is lost when it restarts"
    return "what was decided after its last snapshot is lost when it restarts"

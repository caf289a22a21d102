"""What docs/production.md recommends, on real servers: the account of Z15, and a Redis that is said to forget."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis as Plain
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError

import surefoot
from surefoot import Settings, Towers
from surefoot.models.doubles import towers_double
from surefoot.orchestration.journal import jobs
from surefoot.orchestration.journal.fixed import Fixed
from surefoot.orchestration.progress import Progress
from surefoot.orchestration.redis.client import connect
from surefoot.orchestration.redis.persistence import forgetful
from surefoot.orchestration.reporting import read_report

PAGE = Path(__file__).parents[2] / "docs" / "production.md"
TASK = Towers(5, "compact")


def recommended() -> list[str]:
    """The account as the page has it."""
    found = re.search(r"`ACL SETUSER (surefoot [^`]+)`", PAGE.read_text())
    assert found
    return found[1].replace(">PASSWORD", ">secret").split()


@pytest.fixture
def account(start_server: Callable[..., Any]) -> tuple[Any, str]:
    """A server that only the recommended account may use, and the URL of that account."""
    server = start_server()
    server.tell("ACL", "SETUSER", *recommended())
    return server, f"unix://surefoot@{server.socket}?password=secret"


async def test_z15_a_job_runs_is_listed_shown_cancelled_and_taken_up_with_the_recommended_account(
    account: tuple[Any, str],
) -> None:
    _, url = account
    first = await surefoot.run(
        TASK, Settings(k=3, segment=10), model=towers_double(error=0.05), redis=url, job="one"
    )
    assert first.solved
    client = await connect(url)
    await jobs.create(client, "two", TASK.name, TASK.spec(), TASK.start(), Fixed(Settings(k=2), "double"))
    await jobs.cancel(client, "two")
    assert {job.id: job.status for job in await jobs.every(client) if isinstance(job, jobs.Job)} == {
        "one": "done",
        "two": "cancelled",
    }
    assert (await read_report(client, "one", TASK)).head == first.head
    await client.aclose()
    again = await surefoot.resume("two", model=towers_double(), redis=url, again=True)
    assert (again.solved, again.steps) == (True, first.steps)


WIPING = [
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("SWAPDB", 0, 1),
    ("SCRIPT", "FLUSH"),
    ("FUNCTION", "FLUSH"),
    ("SHUTDOWN", "NOSAVE"),
    ("CONFIG", "SET", "appendonly", "no"),
    ("REPLICAOF", "127.0.0.1", 1),
    ("ACL", "SETUSER", "surefoot", "+@all"),
    ("KEYS", "*"),
    ("SET", "others", "x"),
    ("DEL", "others"),
    ("EVAL", "return redis.call('FLUSHALL')", 0),
    ("EVAL", "return redis.call('DEL', 'others')", 0),
]


@pytest.mark.parametrize("command", WIPING, ids=lambda command: " ".join(map(str, command)))
def test_z15_the_recommended_account_may_empty_stop_or_change_nothing(
    account: tuple[Any, str], command: tuple[Any, ...]
) -> None:
    server, url = account
    server.tell("SET", "others", "theirs")
    with (
        Plain.from_url(url) as client,
        pytest.raises(RedisError, match=r"(?i)permission|can't (run|access)"),
    ):
        client.execute_command(*command)
    assert server.tell("GET", "others") == "theirs"


def test_z15_without_what_was_added_the_account_may_empty_the_server(
    start_server: Callable[..., Any],
) -> None:
    server = start_server()
    server.tell(
        "ACL",
        "SETUSER",
        *["before", "on", ">secret", "~surefoot:*", "+@read", "+@write", "+@scripting", "+@connection"],
    )
    with Plain.from_url(f"unix://before@{server.socket}?password=secret") as client:
        assert client.flushall()


# --- a Redis that forgets ---


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), []),
        (("--maxmemory", "1gb"), []),
        (("--maxmemory-policy", "allkeys-lru"), []),  # without a limit nothing is ever evicted
        (("--appendonly", "no"), ["the job is lost when it restarts"]),
        (("--appendonly", "no", "--save", "3600 1"), ["after its last snapshot is lost when it restarts"]),
        (("--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"), ["records of jobs away.*allkeys-lru"]),
        (
            ("--maxmemory", "1gb", "--maxmemory-policy", "volatile-ttl"),
            ["leases of running jobs.*volatile-ttl"],
        ),
        (
            ("--appendonly", "no", "--maxmemory", "1gb", "--maxmemory-policy", "allkeys-random"),
            ["the job is lost", "records of jobs"],
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_a_redis_that_forgets_is_said_when_a_job_begins(
    start_server: Callable[..., Any], options: tuple[str, ...], said: list[str]
) -> None:
    server, progress = start_server(*options), Progress()
    await surefoot.run(TASK, Settings(k=2), model=towers_double(), redis=server.url, on_event=progress.listen)
    notes = [note for note in progress.notes if "this Redis" in note]
    assert len(notes) == len(said)
    assert all(re.search(word, note) for word, note in zip(said, notes, strict=True)), notes


@pytest.mark.parametrize(
    ("forbidden", "said"),
    [("-config", ["after its last snapshot"]), ("-info", []), ("-@dangerous", [])],
)
async def test_a_redis_that_does_not_tell_is_not_spoken_of(
    start_server: Callable[..., Any], forbidden: str, said: list[str]
) -> None:
    server = start_server("--appendonly", "no")
    server.tell("ACL", "SETUSER", "quiet", "on", ">secret", "~*", "+@all", forbidden)
    async with Redis.from_url(f"unix://quiet@{server.socket}?password=secret") as client:
        notes = await forgetful(client)
        with pytest.raises(NoPermissionError):
            await client.execute_command("INFO" if forbidden == "-info" else "CONFIG GET", "save")
    assert len(notes) == len(said)
    assert all(word in note for word, note in zip(said, notes, strict=True))


async def test_the_embedded_redis_and_the_recommended_account_leave_nothing_to_say(
    account: tuple[Any, str],
) -> None:
    _, url = account
    client = await connect(url)
    assert await forgetful(client) == []
    assert (await client.info("persistence"))["aof_enabled"] == 1
    await client.aclose()

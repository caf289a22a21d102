"""Fail-over: a Redis that changes its place, its part or its mind in the middle of a run is waited for, over fresh connections."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

import surefoot
from surefoot import BadInput, Report, Settings, Towers
from surefoot.models.doubles import Double, towers_double
from surefoot.orchestration.progress import Progress
from surefoot.orchestration.redis.client import RedisUnavailable, connect, without_password
from surefoot.orchestration.redis.script import Script

PATIENCE_S = 60.0
TASK = Towers(9, "compact")
"""511 steps: enough for things to happen in their midst on a busy machine."""
JOB = "job"


def double(latency: float = 0.003) -> Double:
    return towers_double(error=0.03, seed=11, latency=latency)


class Running:
    """A run under way, all that it said it waited for, and bounded waits for what becomes of it."""

    def __init__(self, redis: str) -> None:
        self.progress = Progress()
        self.said: list[str] = []
        self._run = asyncio.create_task(
            surefoot.run(
                TASK,
                Settings(k=3, segment=40),
                model=double(),
                redis=redis,
                job=JOB,
                on_event=self.progress.listen,
            )
        )

    async def until(self, true: Callable[[Progress], Any]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not true(self.progress):
                assert not self._run.done(), f"the run ended first: {self._run.exception()!r}"
                self.listen()
                await asyncio.sleep(0.002)

    def listen(self) -> None:
        if self.progress.waiting and self.progress.waiting not in self.said:
            self.said.append(self.progress.waiting)

    async def report(self) -> Report:
        async with asyncio.timeout(PATIENCE_S):
            return await self._run

    async def interrupt(self) -> None:
        self._run.cancel()
        await asyncio.wait([self._run], timeout=PATIENCE_S)
        assert self._run.cancelled()


@pytest.fixture(scope="module")
def calm(redis_server: Any) -> Report:
    """The same run without anything happening to it."""
    return asyncio.run(surefoot.run(TASK, Settings(k=3, segment=40), model=double(0), redis=redis_server.url))


def same(report: Report, calm: Report) -> bool:
    return (report.solved, report.head, report.votes, report.contested) == (
        True,
        calm.head,
        calm.votes,
        calm.contested,
    )


# --- what stands between a client and its Redis in production, in small ---


def free_port() -> int:
    """A port of loopback without a listener."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Forwarder:
    """Passes every new connection on to `target`; connections made before keep the target that they had, as behind a proxy or a name."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
            await asyncio.wait(
                [
                    asyncio.create_task(_pass_on(reader, up_writer)),
                    asyncio.create_task(_pass_on(up_reader, writer)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
            up_writer.close()
        except OSError:
            pass  # nobody is there
        finally:
            writer.close()
            self._tasks.discard(task)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass


class Pair:
    """A primary and its replica, on ports of loopback."""

    def __init__(self, start_server: Callable[..., Any]) -> None:
        self.primary = start_server("--port", str(free_port()), "--bind", "127.0.0.1")
        self.replica = start_server(
            *("--port", str(free_port()), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0")
        )
        self.primary.tell("CONFIG", "SET", "repl-diskless-sync-delay", 0)
        self.replica.tell("REPLICAOF", "127.0.0.1", self.primary.port)

    async def in_step(self) -> None:
        """Return once the replica has all that the primary has."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                link = self.replica.tell("INFO", "replication").get("master_link_status")
                if link == "up" and self.primary.tell("DBSIZE") == self.replica.tell("DBSIZE"):
                    return
                await asyncio.sleep(0.02)

    def swap(self) -> None:
        """Promote the replica; the old primary follows it, and its connections stay open."""
        self.replica.tell("REPLICAOF", "NO", "ONE")
        self.primary.tell("REPLICAOF", "127.0.0.1", self.replica.port)


@pytest.fixture
def pair(start_server: Callable[..., Any]) -> Pair:
    return Pair(start_server)


@asynccontextmanager
async def under_way(pair: Pair, steps: int = 20) -> AsyncIterator[tuple[Forwarder, Running]]:
    """A run of so many steps so far, over a forwarder in front of a pair that is in step."""
    await pair.in_step()
    async with Forwarder(pair.primary.port) as forwarder:
        running = Running(forwarder.url)
        await running.until(lambda progress: progress.durable > steps)
        await pair.in_step()
        yield forwarder, running


# --- one server that cannot for a while ---


class ReadOnly:
    """M1: it becomes a replica, of a primary that cannot be reached."""

    options: tuple[str, ...] = ()
    said = "read only replica"

    def begin(self, server: Any) -> None:
        server.tell("REPLICAOF", "127.0.0.1", free_port())

    def end(self, server: Any) -> None:
        server.tell("REPLICAOF", "NO", "ONE")


class MasterDown(ReadOnly):
    """A replica that does not even answer reads."""

    options = ("--replica-serve-stale-data", "no")
    said = "MASTER is down"


class NoReplicas:
    options: tuple[str, ...] = ()
    said = "Not enough good replicas"

    def begin(self, server: Any) -> None:
        server.tell("CONFIG", "SET", "min-replicas-to-write", 1)

    def end(self, server: Any) -> None:
        server.tell("CONFIG", "SET", "min-replicas-to-write", 0)


class DiskFull:
    """MISCONF: the server cannot save, here since a directory lies where its snapshot belongs."""

    options: tuple[str, ...] = ()
    said = "unable to persist to disk"

    def begin(self, server: Any) -> None:
        (server.directory / "dump.rdb").mkdir()
        server.tell("CONFIG", "SET", "save", "3600 1")
        server.tell("BGSAVE")

    def end(self, server: Any) -> None:
        (server.directory / "dump.rdb").rmdir()
        server.tell("BGSAVE")


class Busy:
    """A foreign script does not end; after a moment the server says so to all clients."""

    options = ("--lua-time-limit", "1")
    said = "busy running a script"

    def begin(self, server: Any) -> None:
        threading.Thread(target=self._run, args=(server,), daemon=True).start()

    def _run(self, server: Any) -> None:
        with pytest.raises(RedisError):
            server.tell("EVAL", "while true do end", 0)

    def end(self, server: Any) -> None:
        server.tell("SCRIPT", "KILL")


class ClusterDown:
    """A cluster of one server, some of whose slots are not served."""

    options = ("--cluster-enabled", "yes")
    said = "CLUSTERDOWN|slot not served|cluster is down"
    slots = tuple(range(16384))

    def begin(self, server: Any) -> None:
        server.tell("CLUSTER", "DELSLOTS", *self.slots)

    def end(self, server: Any) -> None:
        server.tell("CLUSTER", "ADDSLOTS", *self.slots)


@pytest.mark.parametrize("trouble", [ReadOnly, MasterDown, NoReplicas, DiskFull, Busy, ClusterDown])
async def test_m1_a_server_that_cannot_for_a_while_is_waited_for(
    start_server: Callable[..., Any], calm: Report, trouble: Callable[[], Any]
) -> None:
    it = trouble()
    server = start_server(*it.options)
    if isinstance(it, ClusterDown):
        it.end(server)
        await asyncio.sleep(2)  # a cluster takes its time to believe that it is one
    running = Running(server.url)
    await running.until(lambda progress: progress.durable > 20)
    it.begin(server)
    await running.until(lambda progress: len(running.said) >= 2)
    assert any(word in said for said in running.said for word in it.said.split("|")), running.said
    it.end(server)
    assert same(await running.report(), calm)
    assert running.progress.waiting == ""


async def test_m1_a_job_that_was_left_in_an_outage_is_taken_up_at_once_by_the_same_process(
    start_server: Callable[..., Any], calm: Report
) -> None:
    """Its lease lies in Redis still, and names this very process: no reason to wait, or to be refused."""
    server, readonly = start_server(), ReadOnly()
    for _ in range(2):
        running = Running(server.url)
        await running.until(lambda progress: progress.durable > progress.first + 20)
        readonly.begin(server)
        await running.until(lambda progress: progress.waiting)
        await running.interrupt()
        readonly.end(server)
        assert server.tell("GET", f"surefoot:{{{JOB}}}:lease")
    report = await surefoot.resume(JOB, model=double(0), redis=server.url)
    assert same(report, calm)


# --- a pair behind a forwarder ---


async def test_m3_a_promoted_replica_is_found_though_connections_to_the_old_primary_stay_open(
    pair: Pair, calm: Report
) -> None:
    async with under_way(pair) as (forwarder, running):
        pair.swap()
        forwarder.target = pair.replica.port
        await running.until(lambda progress: progress.waiting)
        await running.until(lambda progress: progress.durable > 80)
        pair.primary.kill()  # it is not needed any more
        assert same(await running.report(), calm)
    assert pair.replica.tell("HGET", f"surefoot:{{{JOB}}}:meta", "status") == "done"


async def test_an_old_primary_that_is_read_only_first_and_then_gone_is_waited_for(
    pair: Pair, calm: Report
) -> None:
    """Promoted, demoted, dead, and only then the name leads to the new one."""
    async with under_way(pair) as (forwarder, running):
        pair.swap()
        await running.until(lambda progress: "read only" in progress.waiting)
        pair.primary.kill()
        await running.until(lambda progress: "is gone" in progress.waiting)
        forwarder.target = pair.replica.port
        assert same(await running.report(), calm)


async def test_what_the_promoted_replica_never_got_is_decided_again(pair: Pair, calm: Report) -> None:
    """Replication is asynchronous: acknowledged steps may be missing on the new primary, a sealed segment included."""
    async with under_way(pair) as (forwarder, running):
        pair.replica.tell("REPLICAOF", "NO", "ONE")
        behind = int(pair.replica.tell("HGET", f"surefoot:{{{JOB}}}:meta", "next"))
        await running.until(lambda progress: progress.durable > behind + 45)
        forwarder.target = pair.replica.port
        pair.primary.kill()
        report = await running.report()
    assert same(report, calm)


async def test_steps_that_are_missing_when_the_job_is_called_done_are_decided_again(
    pair: Pair, calm: Report
) -> None:
    """The fail-over comes with the last commits: nothing but the end is left to be written."""
    async with under_way(pair, 100) as (forwarder, running):
        pair.replica.tell("REPLICAOF", "NO", "ONE")
        await running.until(lambda progress: progress.step >= calm.steps - 3)
        forwarder.target = pair.replica.port
        pair.primary.kill()
        assert same(await running.report(), calm)


# --- Sentinel ---


class Sentinels:
    """A pair with three sentinels in front, which need two votes and little time to call a primary dead."""

    def __init__(self, binary: str, pair: Pair, directory: Path, start: Callable[..., None]) -> None:
        self.ports = [free_port() for _ in range(3)]
        for port in self.ports:
            config = directory / f"sentinel-{port}.conf"
            config.write_text(
                f"port {port}\nbind 127.0.0.1\ndir {directory}\n"
                f"sentinel monitor primary 127.0.0.1 {pair.primary.port} 2\n"
                "sentinel down-after-milliseconds primary 500\n"
                "sentinel failover-timeout primary 3000\n"
            )
            start(binary, str(config), "--sentinel")
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        self.url = f"redis+sentinel://{hosts}/primary/0"


@pytest.fixture
def sentinels(
    redis_binary: str, pair: Pair, tmp_path: Path, start_process: Callable[..., None]
) -> tuple[Pair, Sentinels]:
    return pair, Sentinels(redis_binary, pair, tmp_path, start_process)


async def known(url: str) -> None:
    """Return once the sentinels know the primary."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                client = await connect(url)
            except RedisUnavailable:
                await asyncio.sleep(0.1)
            else:
                await client.aclose()
                return


async def test_a_run_behind_sentinel_goes_on_with_the_replica_that_sentinel_promotes(
    sentinels: tuple[Pair, Sentinels], calm: Report
) -> None:
    pair, watch = sentinels
    await known(watch.url)
    await pair.in_step()
    running = Running(watch.url)
    await running.until(lambda progress: progress.durable > 20)
    await pair.in_step()
    pair.primary.kill()
    await running.until(lambda progress: progress.waiting)
    assert same(await running.report(), calm)
    assert pair.replica.tell("INFO", "replication")["role"] == "master"
    assert (await surefoot.resume(JOB, redis=watch.url)).status == "done"


async def test_an_unknown_primary_is_said_at_once(sentinels: tuple[Pair, Sentinels]) -> None:
    _, watch = sentinels
    await known(watch.url)
    with pytest.raises(RedisUnavailable, match="No master found for 'another'"):
        await connect(watch.url.replace("/primary/", "/another/"))


async def test_sentinels_that_do_not_answer_are_named_by_their_addresses_in_one_sentence() -> None:
    ports = [free_port() for _ in range(2)]
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    for tls in ("redis", "rediss"):
        with pytest.raises(RedisUnavailable) as refused:
            await connect(f"{tls}+sentinel://:secret@{hosts}/primary/0")
        said = str(refused.value)
        assert len(said) < 400
        assert "No master found for 'primary' : " in said
        assert all(f"127.0.0.1:{port} - " in said for port in ports)
        assert not any(word in said for word in ("<", " object at ", "secret"))


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://host:26379",
        "redis+sentinel://host:26379/",
        "redis+sentinel:///service/0",
        "redis+sentinel://host:many/service",
        "redis+sentinel://host,/service",
        "redis+sentinel://host/service/zero",
        "rediss+sentinel://:secret@host:1:2/service/0",
        "sentinel://host/service",
    ],
)
async def test_a_sentinel_url_that_is_none_is_refused_with_the_form_of_one(url: str) -> None:
    with pytest.raises(
        BadInput, match=r"is not a Redis URL.*redis\+sentinel://host:26379,host2:26379/service/0"
    ) as refused:
        await connect(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis+sentinel://:pw@a,b/s/0", "redis+sentinel://***@a,b/s/0"),
        ("redis+sentinel://a/s?sentinel_password=pw", "redis+sentinel://a/s?sentinel_password=***"),
        ("rediss+sentinel://u:p@w@a/s", "rediss+sentinel://***@a/s"),
        ("redis://:pw@host", "redis://***@host"),
    ],
)
def test_a_url_is_shown_without_its_passwords(url: str, shown: str) -> None:
    assert without_password(url) == shown


async def test_a_script_runs_where_every_command_meets_a_server_that_does_not_know_it(redis_url: str) -> None:
    """A fail-over may come between loading a script and calling it."""
    async with Redis.from_url(redis_url) as client:

        async def execute(*command: Any) -> Any:
            try:
                return await client.execute_command(*command)
            finally:
                await client.script_flush()

        double = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
        assert [await double.run(execute, ["n"], [2]) for _ in range(3)] == [2, 4, 6]

"""A Ray cluster of two nodes on this machine for all tests of this folder (`make test-ray`), a Valkey, and a model server.

Nothing is ended by name: `ray stop` would end every Ray of the machine.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from redis import Redis
from redis.exceptions import RedisError

from surefoot.orchestration.redis.embedded import server_binary

LATENCY_S = 0.05
START_S = 30.0


class Place(NamedTuple):
    """Where jobs of a test are done."""

    cluster: Any
    redis: str
    model: str
    environment: dict[str, str]

    def client(self) -> "Redis[bytes]":
        return Redis.from_url(self.redis)


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    # Not pytest's tmp_path: a unix socket's path must be shorter than about 100 characters.
    with tempfile.TemporaryDirectory(prefix="sf-ray-") as folder:
        command = [str(server_binary()), "--port", "0", "--unixsocket", "s", "--dir", folder, "--save", ""]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
            url = f"unix://{Path(folder) / 's'}"
            deadline = time.monotonic() + START_S
            while True:
                try:
                    Redis.from_url(url).ping()
                    break
                except RedisError:
                    assert time.monotonic() < deadline, "Valkey does not answer"
                    time.sleep(0.01)
            yield url
            process.terminate()


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    command = [sys.executable, "-m", "surefoot.models.doubles.server", "--latency", str(LATENCY_S)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()


@pytest.fixture(scope="module")
def place(redis_url: str, model_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The cluster: a head with room for all actors, and a second node that a test may lose."""
    mine = {"HOME": str(tmp_path_factory.mktemp("home")), "RAY_AUTH_MODE": "disabled"}
    before = {name: os.environ.get(name) for name in mine}
    os.environ.update(mine)  # Ray's own processes are started with this environment
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=2)
        environment = {**os.environ, **mine, "RAY_ADDRESS": cluster.address}
        yield Place(cluster, redis_url, model_url, environment)
    finally:
        cluster.shutdown()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

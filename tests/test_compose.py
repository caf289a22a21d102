"""docker-compose.yml: valid by the compose specification, and by our own rules for production."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic_core import from_json
from redis import Redis
from redis.exceptions import RedisError

from surefoot.orchestration.redis.embedded import server_binary

ROOT = Path(__file__).parent.parent
COMPOSE = ROOT / "docker-compose.yml"

VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::?(?P<kind>[-?])(?P<rest>[^}]*))?\}")
SECRET = re.compile(r"key|token|password|secret", re.IGNORECASE)
PINNED = re.compile(r"v?\d+\.\d+\.\d+(-[\w.-]+)?")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    """The specification's own schema, as check-jsonschema ships it."""
    text = files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_bytes()
    loaded = from_json(text)
    Draft202012Validator.check_schema(loaded)
    return Draft202012Validator(loaded)


def filled_in(value: Any) -> Any:
    """The value as compose sees it with an empty environment."""
    if isinstance(value, str):
        return VARIABLE.sub(lambda m: m["rest"] if m["kind"] == "-" else "", value)
    if isinstance(value, list):
        return [filled_in(part) for part in value]
    if isinstance(value, dict):
        return {key: filled_in(part) for key, part in value.items()}
    return value


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings(part)


def tagged_images() -> list[str]:
    loaded = yaml.safe_load(COMPOSE.read_text())["services"].values()
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    return sorted({*(service["image"] for service in loaded), *bases})


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


# --- the specification ---


@pytest.mark.parametrize("seen", ["as written", "filled in"])
def test_the_file_is_valid_by_the_compose_specification(
    compose: dict[str, Any], schema: Draft202012Validator, seen: str
) -> None:
    document = compose if seen == "as written" else filled_in(compose)
    assert [f"{error.json_path}: {error.message}" for error in schema.iter_errors(document)] == []


def test_the_specification_notices_mistakes(compose: dict[str, Any], schema: Draft202012Validator) -> None:
    redis = compose["services"]["redis"]
    for wrong in ({"imagee": "x"}, {"mem_limit": ["1g"]}, {"healthcheck": {"tests": ["CMD", "true"]}}):
        broken = {**compose, "services": {"redis": {**redis, **wrong}}}
        assert not schema.is_valid(broken), wrong


def test_no_key_is_written_twice() -> None:
    """YAML would silently take the last one."""

    def pairs(node: yaml.Node) -> Iterator[list[str]]:
        if isinstance(node, yaml.MappingNode):
            yield [key.value for key, _ in node.value]
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        for child in children:
            for part in child if isinstance(child, tuple) else (child,):
                yield from pairs(part)

    root = yaml.compose(COMPOSE.read_text())
    assert root is not None
    for keys in pairs(root):
        assert len(keys) == len(set(keys))


def test_everything_that_is_named_exists(compose: dict[str, Any], services: dict[str, Any]) -> None:
    for service in services.values():
        assert set(service["networks"]) <= set(compose["networks"])
        assert set(service.get("depends_on", {})) <= set(services)
        named = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert named <= set(compose["volumes"])


# --- our own rules ---


@pytest.mark.parametrize("image", tagged_images())
def test_every_image_is_pinned_to_a_release(image: str) -> None:
    _, _, tag = image.rpartition(":")
    assert PINNED.fullmatch(tag), image


def test_nothing_is_published_and_redis_only_talks_to_workers(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    for service in services.values():
        assert "ports" not in service
        assert service.get("network_mode") is None
    assert services["redis"]["networks"] == ["journal"]
    assert compose["networks"]["journal"] == {"internal": True}
    assert [name for name, service in services.items() if "journal" in service["networks"]] == [
        "redis",
        "worker",
    ]


def test_every_service_says_whether_it_is_healthy_and_how_it_restarts(services: dict[str, Any]) -> None:
    for service in services.values():
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
        assert {"interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])
        assert service["restart"] != "no"
        assert service["logging"]["options"]["max-size"]


def test_workers_wait_for_what_they_need(services: dict[str, Any]) -> None:
    assert services["worker"]["depends_on"] == {
        "redis": {"condition": "service_healthy"},
        "vllm": {"condition": "service_healthy"},
    }


def test_vllm_gets_a_gpu_keeps_its_weights_and_caches_prefixes(services: dict[str, Any]) -> None:
    vllm = services["vllm"]
    (device,) = vllm["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert vllm["volumes"] == ["models:/root/.cache/huggingface"]
    assert "--enable-prefix-caching" in vllm["command"]


def test_no_secret_is_in_any_file(compose: dict[str, Any], services: dict[str, Any]) -> None:
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if SECRET.search(name):
                match = VARIABLE.fullmatch(value)
                assert match, f"{name} is written out"
                assert match["kind"] == "?" or not match["rest"], f"{name} has a default"
    assert not [text for text in strings(compose) if re.search(r"://[^/\s]*:[^/\s]*@", text)]
    for line in (ROOT / ".env.example").read_text().splitlines():
        name, _, value = line.lstrip("# ").partition("=")
        if name.isidentifier() and SECRET.search(name):
            assert value == "", f"{name} has a value"
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_example_environment_names_every_variable_and_its_default() -> None:
    used = {m["name"]: m for m in VARIABLE.finditer(COMPOSE.read_text())}
    lines = (ROOT / ".env.example").read_text()
    shown = dict(re.findall(r"^(?:# )?([A-Z_]+)=(\S*)$", lines, re.MULTILINE))
    assert set(shown) == set(used)
    for name, match in used.items():
        assert shown[name] == (match["rest"] if match["kind"] == "-" else ""), name


def test_redis_as_the_file_starts_it_keeps_every_write_and_evicts_nothing(
    services: dict[str, Any], tmp_path: Path
) -> None:
    program, *arguments = filled_in(services["redis"]["command"])
    assert program == "valkey-server"
    socket = tmp_path / "s"
    process = subprocess.Popen(
        [str(server_binary()), *arguments, "--port", "0", "--unixsocket", str(socket)],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    try:
        with Redis(unix_socket_path=str(socket), decode_responses=True) as client:
            settings = _when_it_answers(client)
    finally:
        process.terminate()
        process.wait(20)
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "everysec"
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["save"] == ""
    assert 0 < int(settings["maxmemory"]) < bytes_of(filled_in(services["redis"]["mem_limit"]))
    assert (tmp_path / "appendonlydir").is_dir()


def test_the_workers_command_is_one_that_surefoot_knows(services: dict[str, Any]) -> None:
    command = filled_in(services["worker"]["command"])
    asked = subprocess.run(
        [sys.executable, "-m", "surefoot.cli", command[0], "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=plain_terminal(),
    )
    known = set(re.findall(r"--[a-z-]+", asked.stdout))
    assert {word for word in command if word.startswith("--")} <= known
    assert option(command, "--model") == "http://vllm:8000/v1"
    assert services["worker"]["environment"]["SUREFOOT_REDIS"] == "redis://redis:6379/0"
    assert option(services["vllm"]["command"], "--port") == "8000"


def test_the_image_copies_all_that_the_package_is_made_of() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert rooms <= kept
    assert {"pyproject.toml", "README.md", "LICENSE", "py.typed", "*.py", "*.pyi"} <= kept
    entry = re.search(r"^ENTRYPOINT (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert entry
    assert shlex.split(entry[1].strip("[]")) == ["surefoot"]


def _when_it_answers(client: Redis) -> dict[str, str]:
    deadline = time.monotonic() + 20
    while True:
        try:
            return {str(name): str(value) for name, value in client.config_get("*").items()}
        except RedisError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def bytes_of(size: str) -> int:
    return int(size[:-1]) << 10 * ("kmg".index(size[-1]) + 1)


def plain_terminal() -> dict[str, str]:
    return {**os.environ, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"}

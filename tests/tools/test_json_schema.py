"""Arguments by somebody else's JSON schema, a hostile one's included."""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

import surefoot
from surefoot.tools import Effect, Observed, ToolFailed, checked_call, schema_of
from surefoot.tools.environments import Environment

pytest.importorskip("jsonschema")
from surefoot.tools.json_schema import arguments_by_schema, callable_name


@dataclass
class Given:
    arguments: type[BaseModel]
    name: str = "given"
    description: str = ""
    effect: Effect = "reads"
    repeatable: bool = True

    async def call(self, arguments: BaseModel, world: Environment) -> Observed:
        return Observed("")

    def normal(self, arguments: BaseModel, workspace: str = "") -> BaseModel:
        return arguments


def told(schema: dict[str, Any], arguments: Any) -> str:
    try:
        checked_call(Given(arguments_by_schema("given", schema)), json.dumps(arguments))
    except ToolFailed as refused:
        return str(refused).removeprefix("The arguments of given are wrong: ")
    return ""


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "arguments", "sentence"),
    [
        (of(a={"type": "integer"}), {"a": 1, "b": 2}, ""),
        (of(a={"type": "integer"}), {"a": 1.5}, "a: 1.5 is not of type 'integer'"),
        (of(a={"enum": ["x", "y"]}), {"a": "z"}, "a: 'z' is not one of ['x', 'y']"),
        (of(a=of(b={"items": {"type": "string"}})), {"a": {"b": ["x", 3]}}, "a.b.1: 3 is not of type 'string'"),
        (of(a={"pattern": r"^\d+$"}), {"a": "12"}, ""),
        (of(a={"pattern": r"^\d+$"}), {"a": "x"}, r"a: 'x' does not match '^\\d+$'"),
        (of(a={"pattern": "(?<=x)y"}), {"a": "z"}, ""),
        (of(a={"pattern": "\\u{1F600}\\cA["}), {"a": "z"}, ""),
        (of(a={"uniqueItems": True}), {"a": [1, {"x": 1, "y": 2}, {"y": 2, "x": 1}]}, "a: it has an item twice"),
        (of(a={"uniqueItems": True}), {"a": [1, True, "1", None]}, ""),
        ({"additionalProperties": {"type": "integer"}}, {"a": "x"}, "a: 'x' is not of type 'integer'"),
        ({"additionalProperties": False, "patternProperties": {"(a+)+$": {}}}, {"a" * 5_000 + "!": 1}, ""),
        ({"additionalProperties": False}, {"x": 1}, "there is no argument 'x', only none"),
        ({"$ref": "#/$defs/a", "$defs": {"a": of(b={"type": "null"})}}, {"b": 1}, "b: 1 is not of type 'null'"),
        ({"$ref": "#/nowhere"}, {"b": 1}, ""),
        ({"$ref": "#"}, {"b": 1}, ""),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "required": ["a"]}, {}, "'a' is a required property"),
        ({"$schema": "https://example.org/own", "required": ["a"]}, {}, "'a' is a required property"),
    ],
)  # fmt: skip
def test_arguments_are_checked_and_a_mistake_is_told(
    schema: dict[str, Any], arguments: Any, sentence: str
) -> None:
    assert told(schema, arguments) == sentence


def test_a_mistake_in_long_arguments_is_told_shortly() -> None:
    assert len(told(of(a={"type": "integer"}), {"a": "x" * 100_000})) < 500
    assert len(told({"additionalProperties": False}, {"k\n" * 100_000: 1})) < 500


def test_what_a_schema_refers_to_is_not_fetched() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.2)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/schema.json"
        assert told(of(a={"$ref": url}), {"a": 1}) == ""
        with pytest.raises(TimeoutError):
            listening.accept()


def test_the_models_schema_is_the_given_one() -> None:
    schema = {**of(title={"title": "T", "type": "string"}), "title": "X", "$defs": {"a": {"title": "A"}}}
    shown = json.loads(schema_of(Given(arguments_by_schema("given", schema)))[2])
    assert shown == {"type": "object", "properties": {"title": {"type": "string"}}, "$defs": {"a": {}}}


@pytest.mark.parametrize("schema", [{"type": 3}, {"properties": []}, {"required": "a"}])
def test_what_is_no_schema_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(surefoot.BadInput, match="the arguments of tool 'given' have no usable JSON schema: "):
        arguments_by_schema("given", schema)


@pytest.mark.parametrize(
    ("schema", "make"),
    [
        (of(a={"uniqueItems": True}), lambda size: {"a": [{"n": n} for n in range(size // 16)]}),
        (of(a={"pattern": "^(x+x+)+y$"}), lambda size: {"a": "x" * size}),
        ({"additionalProperties": False}, lambda size: {str(n): n for n in range(size // 16)}),
        (of(a={"items": {"type": "string"}}), lambda size: {"a": [0] * (size // 3)}),
    ],
)
def test_checking_takes_time_linear_in_the_arguments(
    schema: dict[str, Any], make: Callable[[int], Any], slope: Callable[..., float]
) -> None:
    tool = Given(arguments_by_schema("given", schema))

    def check(text: str) -> None:
        try:
            checked_call(tool, text)
        except ToolFailed as refused:
            assert len(str(refused)) < 1_000

    def text(size: int) -> str:
        return json.dumps(make(size))

    sizes = [65_536, 262_144, 1_048_576]
    # A table of names outgrows the caches of a CPU, whoever fills it: what that tilts, it tilts for a bare reading, too.
    tilt = max(0.0, slope(json.loads, text, sizes) - 1)
    assert slope(check, text, sizes) <= 1.2 + tilt


def test_names_that_models_cannot_call_are_made_callable_and_stay_apart() -> None:
    taken: set[str] = set()
    names = ["a.b", "a_b", "a/b", "", "é", "x" * 80, "x" * 81, "x" * 64]
    assert [callable_name(name, taken) for name in names] == [
        "a_b", "a_b_2", "a_b_3", "_", "__2", "x" * 64, "x" * 58 + "_2", "x" * 58 + "_3",
    ]  # fmt: skip

"""LangChain's tools plug in as they are."""

import json
from typing import Annotated, Any

import pytest
from langchain_core.tools import BaseTool, InjectedToolArg, StructuredTool, ToolException
from langchain_core.tools import tool as langchain_tool
from pydantic import BaseModel, Field

import surefoot
from surefoot.tools import Tool, ToolFailed, checked_call, from_langchain, schema_of
from surefoot.tools.environments import Environment


@langchain_tool
def multiply(a: int, b: Annotated[int, Field(description="the second")] = 2) -> int:
    """Multiply two numbers."""
    return a * b


@langchain_tool
async def later(word: str, user: Annotated[str, InjectedToolArg] = "someone") -> dict[str, str]:
    """Say a word."""
    return {user: word}


@langchain_tool
def fails(why: str) -> str:
    """Fail."""
    raise ToolException(why) if why.startswith("t") else KeyError(why)


class Table(BaseModel):
    """A table."""

    rows: list[int]


class Summer(BaseTool):
    name: str = "summer"
    description: str = "Sum a table."
    args_schema: Any = Table

    def _run(self, rows: list[int]) -> int:
        return sum(rows)


async def call(made: Tool, world: Environment, **arguments: Any) -> str:
    return (await made.call(checked_call(made, json.dumps(arguments)), world)).text


async def test_a_function_of_langchain_is_a_tool(world: Environment) -> None:
    made = from_langchain(multiply, effect="reads")
    assert isinstance(made, Tool)
    assert (made.effect, made.repeatable, from_langchain(multiply).effect) == ("reads", True, "writes")
    name, description, schema = schema_of(made)
    assert (name, description) == ("multiply", "Multiply two numbers.")
    assert json.loads(schema)["properties"] == {
        "a": {"type": "integer"},
        "b": {"type": "integer", "default": 2, "description": "the second"},
    }
    assert await call(made, world, a=3) == "6"
    assert await call(made, world, a=3, b=5) == "15"
    with pytest.raises(ToolFailed, match="The arguments of multiply are wrong: a is missing"):
        checked_call(made, "{}")


async def test_arguments_that_langchain_fills_in_are_not_shown(world: Environment) -> None:
    made = from_langchain(later)
    assert list(json.loads(schema_of(made)[2])["properties"]) == ["word"]
    assert await call(made, world, word="ah") == '{"someone":"ah"}'


async def test_a_class_of_langchain_is_a_tool(world: Environment) -> None:
    assert await call(from_langchain(Summer()), world, rows=[1, 2]) == "3"


async def test_a_tool_with_a_json_schema_is_one(world: Environment) -> None:
    def join(**parts: str) -> str:
        return " ".join(parts.values())

    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "title": "Join"}
    made = from_langchain(StructuredTool.from_function(join, name="join", description="", args_schema=schema))
    assert await call(made, world, a="x") == "x"
    with pytest.raises(ToolFailed, match="a: 1 is not of type 'string'"):
        checked_call(made, '{"a": 1}')


@pytest.mark.parametrize(
    ("why", "sentence"),
    [("table", "fails failed with ToolException: table"), ("key", "fails failed with KeyError: 'key'")],
)
async def test_its_exception_is_told(why: str, sentence: str, world: Environment) -> None:
    with pytest.raises(ToolFailed) as told:
        await call(from_langchain(fails), world, why=why)
    assert str(told.value) == sentence


class Bare:
    """What any other library may have that is shaped like one."""

    name, description, args_schema = "bare", "", None

    async def ainvoke(self, given: Any) -> Any:
        return given


def test_what_is_no_tool_of_langchain_is_refused() -> None:
    with pytest.raises(
        surefoot.BadInput, match="a value of type str is no tool of LangChain: it has no name"
    ):
        from_langchain("multiply")
    with pytest.raises(surefoot.BadInput, match="args_schema of tool 'bare' must be a pydantic 2 model"):
        from_langchain(Bare())
    bare = Bare()
    bare.args_schema, bare.name = Table, "a b"  # type: ignore[assignment]
    with pytest.raises(surefoot.BadInput, match="'a b' is no name of a tool"):
        from_langchain(bare)


async def test_a_tool_that_is_only_shaped_like_one_is_one(world: Environment) -> None:
    bare = Bare()
    bare.args_schema = Table  # type: ignore[assignment]
    assert await call(from_langchain(bare), world, rows=[1]) == '{"rows":[1]}'

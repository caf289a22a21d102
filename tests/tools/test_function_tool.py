"""A typed function is a tool: its schema, its call, its failures."""

import asyncio
import functools
import json
import threading
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

import surefoot
from surefoot.tools import Effect, FunctionTool, Observed, Tool, ToolFailed, checked_call, schema_of
from surefoot.tools.environments import Environment


def schema(of: FunctionTool[Any, Any]) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(schema_of(of)[2])
    return loaded


async def call(made: FunctionTool[Any, Any], world: Environment, **arguments: Any) -> Observed:
    return await made.call(checked_call(made, json.dumps(arguments)), world)


@surefoot.tool(effect="reads")
def weather(city: str, days: Annotated[int, Field(ge=1, le=7, description="how many")] = 1) -> dict[str, int]:
    """Return the forecast for a city.

    It is made up.

    Args:
        city (str): where, by its
            English name: as on a map
        days: not shown, as the annotation says more
    Returns:
        degrees
    """
    return {city: days}


def test_a_function_becomes_a_tool_by_its_signature_and_docstring() -> None:
    assert isinstance(weather, Tool)
    name, description, _ = schema_of(weather)
    assert name == "weather"
    assert description == "Return the forecast for a city.\n\nIt is made up.\n\nReturns:\n    degrees"
    assert schema(weather) == {
        "additionalProperties": False,
        "type": "object",
        "required": ["city"],
        "properties": {
            "city": {"type": "string", "description": "where, by its English name: as on a map"},
            "days": {"type": "integer", "minimum": 1, "maximum": 7, "default": 1, "description": "how many"},
        },
    }


def test_the_tool_is_still_the_function() -> None:
    assert weather("Rome", days=3) == {"Rome": 3}


@pytest.mark.parametrize(
    ("effect", "repeatable"), [("reads", True), ("writes", False), ("irreversible", False)]
)
def test_only_what_reads_is_repeatable_unless_said(effect: Effect, repeatable: bool) -> None:
    def act() -> None: ...

    assert surefoot.tool(act, effect=effect).repeatable is repeatable
    assert surefoot.tool(act, effect=effect, repeatable=not repeatable).repeatable is not repeatable
    assert surefoot.tool(act).effect == "writes"


class Spot(BaseModel):
    """Where."""

    x: float
    title: str = "here"


async def test_types_of_a_users_own_arrive_as_such(world: Environment) -> None:
    @surefoot.tool
    async def mark(
        spot: Spot, days: tuple[date, ...], schema: int = 2, model_config: int = 3, _id: int = 4
    ) -> str:
        return f"{type(spot).__name__} {spot.title} {days[0].year} {schema} {model_config} {_id}"

    assert (await call(mark, world, spot={"x": 1}, days=["2026-11-29"])).text == "Spot here 2026 2 3 4"
    assert (
        await call(mark, world, spot={"x": 1}, days=["2026-11-29"], schema=5, model_config=6, _id=7)
    ).text.endswith("5 6 7")
    shown = schema(mark)
    assert list(shown["properties"]) == sorted(["spot", "days", "schema", "model_config", "_id"])
    assert shown["$defs"]["Spot"]["properties"]["title"] == {"default": "here", "type": "string"}
    assert "title" not in shown["$defs"]["Spot"]


async def test_the_environment_is_no_argument_of_the_model(world: Environment) -> None:
    @surefoot.tool
    async def where(sep: str, place: Environment) -> str:
        return sep + place.workspace

    assert list(schema(where)["properties"]) == ["sep"]
    assert (await call(where, world, sep=">")).text == ">" + world.workspace
    with pytest.raises(ToolFailed, match="no argument 'place', only sep"):
        checked_call(where, '{"sep": "", "place": {}}')


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("as it is\n", "as it is\n"),
        (None, ""),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        (Spot(x=1), '{"x":1.0,"title":"here"}'),
        (7, "7"),
        ("half \ud800", "half \\ud800"),
    ],
)
async def test_what_the_model_is_told_of_a_result(result: Any, text: str, world: Environment) -> None:
    @surefoot.tool
    def give() -> Any:
        return result

    assert (await call(give, world)) == Observed(text)


async def test_an_observed_is_passed_on_and_a_long_result_is_cut(world: Environment) -> None:
    @surefoot.tool
    def give(long: bool) -> Any:
        return "x" * 1_000_000 if long else Observed("done", 3, True)

    assert await call(give, world, long=False) == Observed("done", 3, True)
    told = (await call(give, world, long=True)).text
    assert len(told) < 101_000 and "900,000 characters left out here" in told


async def test_a_blocking_function_does_not_block(world: Environment) -> None:
    let_go = threading.Event()

    @surefoot.tool
    def wait() -> str:
        return str(let_go.wait(60))

    waiting = asyncio.create_task(call(wait, world))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    let_go.set()
    assert (await waiting).text == "True"


class Worded(Exception):
    def __str__(self) -> str:
        raise KeyError("words")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("no\n  such \x1b[31mcity"), r"act failed with ValueError: no such \x1b[31mcity"),
        (KeyError("a"), "act failed with KeyError: 'a'"),
        (RuntimeError(), "act failed with RuntimeError"),
        (StopIteration(3), "act failed with RuntimeError: "),
        (SystemExit(2), "act failed with SystemExit: 2"),
        (Worded(), "act failed with Worded: its words cannot be read, KeyError"),
        (ToolFailed("say it so"), "say it so"),
        (TimeoutError("late"), "act failed with TimeoutError: late"),
    ],
)
@pytest.mark.parametrize("blocking", [True, False])
async def test_an_exception_is_told_in_one_sentence(
    error: BaseException, sentence: str, blocking: bool, world: Environment
) -> None:
    def act() -> None:
        raise error

    async def later() -> None:
        raise error

    made = surefoot.tool(act) if blocking else surefoot.tool(later, name="act")
    with pytest.raises(ToolFailed) as told:
        await asyncio.wait_for(call(made, world), 30)
    assert str(told.value).startswith(sentence)


async def test_a_long_exception_is_cut(world: Environment) -> None:
    @surefoot.tool
    def act() -> None:
        raise ValueError("head " + "x\n" * 2_000_000 + " tail")

    with pytest.raises(ToolFailed, match=r"head x.* tail") as told:
        await call(act, world)
    assert len(str(told.value)) < 700


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_cancellation_passes_on(blocking: bool, world: Environment) -> None:
    let_go = threading.Event()

    async def for_ever() -> None:
        await asyncio.sleep(3600)

    made: FunctionTool[Any, Any] = (
        surefoot.tool(lambda: let_go.wait(60), name="wait") if blocking else surefoot.tool(for_ever)
    )
    waiting = asyncio.create_task(call(made, world))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    let_go.set()


async def test_a_result_that_is_no_json_fails_after_the_call(world: Environment) -> None:
    @surefoot.tool
    def give() -> object:
        return object()

    with pytest.raises(
        ToolFailed, match="give has run, but its result, of type object, cannot be written as JSON"
    ):
        await call(give, world)


async def test_methods_partials_and_lambdas_are_tools_too(world: Environment) -> None:
    class Counter:
        async def add(self, n: int) -> int:
            return n + 1

    def both(a: int, b: int) -> int:
        return a + b

    assert (await call(surefoot.tool(Counter().add), world, n=1)).text == "2"
    assert (await call(surefoot.tool(functools.partial(both, b=2), name="more"), world, a=1)).text == "3"
    assert (await call(surefoot.tool(lambda: "x", name="x"), world)).text == "x"


def untyped(a) -> None: ...  # type: ignore[no-untyped-def]
def starred(*a: int) -> None: ...
def keywords(**a: int) -> None: ...
def positional(a: int, /) -> None: ...
def unreadable(a: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821
def callback(a: Callable[[], int]) -> None: ...
def thing(a: threading.Event) -> None: ...
def worlds(a: Environment, b: Environment) -> None: ...


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (untyped, "'a' of tool 'untyped' has no type; annotate it"),
        (starred, r"tool 'starred' takes \*a: int, which has no schema"),
        (keywords, r"tool 'keywords' takes \*\*a: int, which has no schema"),
        (positional, "'a' of tool 'positional' is positional only"),
        (unreadable, "the types of tool 'unreadable' cannot be read, NameError"),
        (callback, "the arguments of tool 'callback' have no JSON schema"),
        (thing, "the arguments of tool 'thing' have no JSON schema"),
        (worlds, "tool 'worlds' has two parameters for the environment, 'a' and 'b'"),
        (lambda: 0, "'<lambda>' is no name of a tool"),
    ],
)
def test_what_no_model_could_call_is_refused_when_it_is_made(
    function: Callable[..., None], sentence: str
) -> None:
    with pytest.raises(surefoot.BadInput, match=sentence) as refused:
        surefoot.tool(function)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["", "a b", "a.b", "é", "a" * 65, "a\n", "x; rm"])
def test_names_that_models_cannot_call_are_refused(name: str) -> None:
    with pytest.raises(surefoot.BadInput, match="is no name of a tool"):
        surefoot.tool(lambda: None, name=name)


def test_an_effect_that_does_not_exist_is_refused() -> None:
    with pytest.raises(surefoot.BadInput, match="must be 'reads', 'writes' or 'irreversible', not 'write'"):
        surefoot.tool(lambda: None, name="x", effect="write")  # type: ignore[call-overload]

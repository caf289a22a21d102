"""A typed Python function as a tool: its schema from its signature, its description from its docstring."""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from dataclasses import dataclass
from typing import Annotated, Any, Generic, ParamSpec, TypeVar, get_origin, overload

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.errors import PydanticUserError
from pydantic_core import to_json

from surefoot.errors import BadInput

from .bounded_text import bounded, one_line, sentence_of
from .docstrings import described
from .environments.environment import Environment
from .failed import ToolFailed
from .tool import Effect, Observed

P = ParamSpec("P")
R = TypeVar("R")

NAME = re.compile("[A-Za-z0-9_-]{1,64}")
LONGEST_RESULT = 100_000
"""Characters that the result of a function holds; of a longer one the middle is left out."""

Normal = Callable[[Any, str], BaseModel]


@dataclass(frozen=True, eq=False)
class FunctionTool(Generic[P, R]):
    """A `Tool` that calls a function; called itself, it is that function."""

    function: Callable[P, R]
    name: str
    description: str
    arguments: type[BaseModel]
    effect: Effect
    repeatable: bool
    fields: dict[str, str]
    """The field of `arguments` for each parameter of the function."""
    world: str | None
    """The parameter that gets the environment."""
    normal_form: Normal | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function as if it were no tool."""
        return self.function(*args, **kwargs)

    async def call(self, arguments: BaseModel, world: Environment) -> Observed:
        """Call the function, a blocking one in a thread, which a cancellation does not end."""
        values: dict[str, Any] = {name: getattr(arguments, field) for name, field in self.fields.items()}
        if self.world is not None:
            values[self.world] = world
        try:
            return observed(self.name, await _called(self.function, values))
        except ToolFailed:
            raise
        except (Exception, SystemExit) as error:
            raise ToolFailed(f"{self.name} failed with {sentence_of(error)}") from error

    def normal(self, arguments: BaseModel, workspace: str = "") -> BaseModel:
        """Return the arguments in the form by which equal calls are equal."""
        return self.normal_form(arguments, workspace) if self.normal_form else arguments


@overload
def tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...
@overload
def tool(
    function: Callable[P, R],
    /,
    *,
    effect: Effect = "writes",
    repeatable: bool | None = None,
    name: str | None = None,
    description: str | None = None,
    normal: Normal | None = None,
) -> FunctionTool[P, R]: ...
@overload
def tool(
    *,
    effect: Effect = "writes",
    repeatable: bool | None = None,
    name: str | None = None,
    description: str | None = None,
    normal: Normal | None = None,
) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...
def tool(
    function: Callable[P, R] | None = None,
    /,
    *,
    effect: Effect = "writes",
    repeatable: bool | None = None,
    name: str | None = None,
    description: str | None = None,
    normal: Normal | None = None,
) -> FunctionTool[P, R] | Callable[[Callable[P, R]], FunctionTool[P, R]]:
    """Make a tool of a typed function, sync or async.

        @surefoot.tool(effect="reads")
        def weather(city: str, days: Annotated[int, Field(ge=1, le=7)] = 1) -> str:
            '''Return the forecast for a city.'''

    A parameter annotated `Environment` gets the run's environment and is no argument of the model.  A result that is no text
    becomes JSON, `None` nothing; an `Observed` is passed on.  An exception becomes a `ToolFailed` with its type and its words.

    effect: what a call does to the world.  repeatable: whether a call that may have been made already can be made once more
    with no harm; by default those that only read.  name, description: by default the function's, and its docstring's.
    normal: from arguments and the workspace's path to the form by which equal calls are equal.

    Raises `BadInput` for a function that no model could call: its name, `*args`, `**kwargs`, a parameter without a type.
    """
    if function is None:
        return lambda given: tool(
            given, effect=effect, repeatable=repeatable, name=name, description=description, normal=normal
        )
    name = name if name is not None else getattr(function, "__name__", type(function).__name__)
    check_name(name)
    if effect not in ("reads", "writes", "irreversible"):
        raise BadInput(f"effect of tool {name!r} must be 'reads', 'writes' or 'irreversible', not {effect!r}")
    said, about = described(inspect.getdoc(function) or "" if inspect.isroutine(function) else "")
    arguments, fields, world = _signature(name, function, about)
    return FunctionTool(
        function=function,
        name=name,
        description=said if description is None else description,
        arguments=arguments,
        effect=effect,
        repeatable=effect == "reads" if repeatable is None else repeatable,
        fields=fields,
        world=world,
        normal_form=normal,
    )


def check_name(name: str) -> None:
    """Raise `BadInput` for a name that models cannot call."""
    if not NAME.fullmatch(name):
        raise BadInput(
            f"{one_line(repr(name), 120)} is no name of a tool: letters, digits, _ and -, at most 64 of them; give another with name="
        )


def observed(name: str, result: object) -> Observed:
    """Return what a model is told of a tool's result."""
    if isinstance(result, Observed):
        return result
    if result is None or isinstance(result, str):
        return Observed(bounded(str(result or ""), LONGEST_RESULT))
    try:
        return Observed(bounded(to_json(result).decode(), LONGEST_RESULT))
    except Exception as error:
        raise ToolFailed(
            f"{name} has run, but its result, of type {type(result).__name__}, cannot be written as JSON: {sentence_of(error)}"
        ) from error


def _signature(
    name: str, function: Callable[..., Any], about: dict[str, str]
) -> tuple[type[BaseModel], dict[str, str], str | None]:
    try:
        parameters = inspect.signature(function, eval_str=True).parameters.values()
    except Exception as error:
        raise BadInput(
            f"the types of tool {name!r} cannot be read, {sentence_of(error)}; import what they name"
        ) from error
    made: dict[str, Any] = {}
    fields: dict[str, str] = {}
    world: str | None = None
    for place, each in enumerate(parameters):
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            raise BadInput(
                f"tool {name!r} takes {each}, which has no schema; name each argument and give it a type"
            )
        if each.annotation is each.empty:
            raise BadInput(f"{each.name!r} of tool {name!r} has no type; annotate it, as in {each.name}: str")
        if each.kind is each.POSITIONAL_ONLY:
            raise BadInput(
                f"{each.name!r} of tool {name!r} is positional only; models name their arguments: drop the /"
            )
        if each.annotation is Environment:
            if world is not None:
                raise BadInput(
                    f"tool {name!r} has two parameters for the environment, {world!r} and {each.name!r}; keep one"
                )
            world = each.name
            continue
        field = _field(each.name, place)
        fields[each.name] = field
        made[field] = _typed(each, field, about.get(each.name))
    return _model(name, made), fields, world


def _model(name: str, made: dict[str, Any]) -> type[BaseModel]:
    try:
        config = ConfigDict(extra="forbid", protected_namespaces=())
        model: type[BaseModel] = create_model(name, __config__=config, **made)
        model.model_json_schema()
    except (PydanticUserError, TypeError, ValueError) as error:
        raise BadInput(
            f"the arguments of tool {name!r} have no JSON schema: {one_line(str(error), 200)}"
        ) from error
    return model


def _field(name: str, place: int) -> str:
    """Return a name for a field: pydantic has taken some, and keeps those with `_` for itself."""
    return f"argument_{place}" if name.startswith("_") or hasattr(BaseModel, name) else name


def _typed(parameter: inspect.Parameter, field: str, about: str | None) -> tuple[Any, Any]:
    kind = parameter.annotation
    if about and not _has_description(kind):
        kind = Annotated[kind, Field(description=about)]
    if field != parameter.name:
        kind = Annotated[kind, Field(alias=parameter.name)]
    return kind, ... if parameter.default is parameter.empty else parameter.default


def _has_description(kind: Any) -> bool:
    return get_origin(kind) is Annotated and any(
        getattr(each, "description", None) for each in kind.__metadata__
    )


async def _called(function: Callable[..., Any], values: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(**values)
    context = copy_context()

    def outcome() -> tuple[Any, BaseException | None]:
        # As a value: a future takes no StopIteration, and whoever waits for it would wait for ever.
        try:
            return context.run(function, **values), None
        except StopIteration as error:
            return None, RuntimeError(sentence_of(error))
        except BaseException as error:
            return None, error

    result, error = await asyncio.get_running_loop().run_in_executor(None, outcome)
    if error is not None:
        raise error
    return await result if isinstance(result, Awaitable) else result

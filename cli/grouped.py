"""Options in groups: a command takes dataclasses, and the command line has their fields as options."""

import functools
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from inspect import Parameter, Signature, signature
from typing import Any


def grouped(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Show typer, which reads a function's signature and knows no dataclasses, the fields of a command's groups in their place.

    Fields `without` an option here are as they are by default: `depth` of all groups, `speculation.depth` of that one alone.
    """

    def around(command: Callable[..., None]) -> Callable[..., None]:
        own = signature(command, eval_str=True).parameters
        groups: dict[str, Any] = {
            name: each.annotation for name, each in own.items() if is_dataclass(each.annotation)
        }

        @functools.wraps(command)
        def flat(**given: Any) -> None:
            made = {name: kind(**_popped(kind, given)) for name, kind in groups.items()}
            command(**made, **given)

        options = [option for each in own.values() for option in _options(each, without)]
        flat.__signature__ = Signature(options)  # type: ignore[attr-defined]
        return flat

    return around


def _popped(kind: Any, given: dict[str, Any]) -> dict[str, Any]:
    return {field.name: given.pop(field.name) for field in fields(kind) if field.name in given}


def _options(each: Parameter, without: tuple[str, ...]) -> list[Parameter]:
    if not is_dataclass(each.annotation):
        return [each.replace(kind=Parameter.KEYWORD_ONLY)]
    return [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.default is MISSING else field.default,
            annotation=field.type,
        )
        for field in fields(each.annotation)
        if not {field.name, f"{each.name}.{field.name}"} & set(without)
    ]

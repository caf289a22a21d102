"""JSON as servers send it: mostly right, sometimes with half of a character, and now and then made to hurt."""

import json
from typing import Any

from pydantic_core import from_json

from .limits import few_values


def parsed(text: bytes) -> Any:
    """Return a JSON value.

    Unlike the standard, raw line breaks in strings and halves of surrogate pairs are taken, which some gateways make of
    cut-off emoji (`whole_characters` mends them).  Raises `ValueError`, also for what is nested deeper than 200 levels, and
    `ResponseTooLarge` for what would fill the memory.
    """
    try:
        return from_json(few_values(text))
    except ValueError as error:
        if "recursion" in str(error):
            raise ValueError("JSON nested too deeply") from None
        try:
            return json.loads(text, strict=False)
        except (ValueError, RecursionError):
            raise ValueError(f"no JSON: {str(error)[:100]}") from None


def whole_characters(text: str) -> str:
    """Return the text with halves of surrogate pairs joined where both are there, and replaced where not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text

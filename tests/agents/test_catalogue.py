"""From a name, an address and typed arguments to a task."""

from collections.abc import Mapping
from typing import Literal

import pytest

from surefoot import BadInput, Columns, Task, Towers
from surefoot.agents.tasks.arguments import arguments
from surefoot.agents.tasks.catalogue import address_of, made, task_at, task_named, task_of
from surefoot.agents.tasks.task import Value


class Walk(Task[int, int]):
    """A task of many arguments."""

    name = "walk"

    def __init__(
        self,
        first: int,
        label: str = "",
        mode: Literal["up", "down"] = "up",
        stops: tuple[int, ...] = (),
        loud: bool = False,
        whole=(),  # type: ignore[no-untyped-def]
        most: int | None = None,
    ) -> None:
        self.given = (first, label, mode, stops, loud, whole, most)

    def spec(self) -> Mapping[str, Value]:
        return {}

    def start(self) -> int:
        return 0

    def ask(self, state: int, view: int = 0) -> str:
        return ""

    def read(self, text: str, state: int, view: int = 0) -> int:
        return 0

    def advance(self, state: int, answer: int) -> int:
        return 0

    def finished(self, state: int) -> bool:
        return True


class Unnamed(Walk):
    name = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["first=50"], {"first": 50}),
        (["first=-7"], {"first": -7}),
        (["label=50"], {"label": "50"}),
        (["label=null"], {"label": "null"}),
        (['label="a = b"'], {"label": "a = b"}),
        (["label=a=b"], {"label": "a=b"}),
        (["label="], {"label": ""}),
        (["mode=down"], {"mode": "down"}),
        (["stops=[1,2]"], {"stops": (1, 2)}),
        (["loud=true"], {"loud": True}),
        (["loud=no"], {"loud": False}),
        (["most=null"], {"most": None}),
        (["most=3"], {"most": 3}),
        (['whole=[1,[2,"x"]]'], {"whole": (1, (2, "x"))}),
        (["whole=plain text"], {"whole": "plain text"}),
        (["whole=7"], {"whole": 7}),
    ],
)
def test_an_argument_becomes_what_the_constructor_takes(
    typed: list[str], expected: Mapping[str, object]
) -> None:
    found = arguments(Walk, typed)
    assert found == expected
    assert [type(value) for value in found.values()] == [type(value) for value in expected.values()]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["first=many"], "argument 'first' cannot be 'many'"),
        (["first=1.5"], "argument 'first' cannot be '1.5'"),
        (["first=1", "first=2"], "'first' is given twice"),
        (["last=1"], "task 'walk' has no argument 'last'; it has first, label"),
        (["first"], "an argument is written name=value, not 'first'"),
        (["mode=sideways"], "argument 'mode' cannot be 'sideways'"),
        (["stops=[1,null]"], "argument 'stops' cannot be"),
        (["first=" + "[" * 100_000], "argument 'first' cannot be"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_by_name_and_value(typed: list[str], said: str) -> None:
    with pytest.raises(BadInput) as refused:
        arguments(Walk, typed)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 500


def test_a_class_is_found_at_its_address_and_by_its_name() -> None:
    assert task_at("surefoot.agents.tasks.columns:Columns") is task_at("columns") is Columns
    assert task_named("towers") is Towers
    assert task_at(address_of(Towers(3))) is Towers


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("surefoot.agents.tasks.columns:Nothing", "cannot be imported: AttributeError"),
        ("surefoot.nowhere:Task", "cannot be imported: ModuleNotFoundError"),
        ("surefoot:", "cannot be imported"),
        (":Columns", "cannot be imported"),
        ("os:path", "is not a class derived from surefoot.Task"),
        ("json:JSONDecoder", "is not a class derived from surefoot.Task"),
        ("surefoot:Task", "has no name"),
        (f"{__name__}:Unnamed", "has no name"),
        (
            "countdown",
            "task 'countdown' is not part of surefoot, which has towers, columns, sorting, checkers, crossing, blocks, ",
        ),
        ("", "task '' is not part of surefoot"),
        ("letters.py:Letters", "names a file: write letters:Letters, in the folder of that file"),
        ("./letters.py:Letters", "write letters:Letters"),
        ("tasks/letters:Letters", "write letters:Letters"),
    ],
)
def test_an_address_that_leads_to_no_task_is_refused(address: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        task_at(address)
    assert said in str(refused.value)


def test_a_journal_names_a_task_and_never_a_module_to_import() -> None:
    """Write access to a Redis does not decide what a resumed job imports."""
    for name in ("surefoot.agents.tasks.columns:Columns", "antigravity:Task", "os:system"):
        with pytest.raises(BadInput, match="is not part of surefoot"):
            task_of(name, {"factors": ("1", "2")})


@pytest.mark.parametrize("spec", [{}, {"first": 1, "last": 2}, {"disks": "x"}])
def test_a_task_that_cannot_be_made_says_from_what(spec: Mapping[str, object]) -> None:
    with pytest.raises(BadInput, match="task 'walk' cannot be made from"):
        made(Walk, spec)

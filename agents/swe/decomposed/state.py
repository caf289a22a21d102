"""What a decomposed run knows at a step, and what is answered there: all of it can be written down."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from surefoot.agents.tasks.codec import Typed

Stage = Literal[
    "survey",
    "files",
    "open",
    "places",
    "reopen",
    "baseline",
    "reproduce",
    "try_test",
    "patch",
    "try_patch",
    "verify",
]
ASKED: tuple[Stage, ...] = ("files", "places", "reproduce", "patch")
"""The stages that a model is asked for; the world answers all others."""
StageEnding = Literal["", "submitted", "undecided", "unverified", "lost_workspace"]
"""How a run is over, in the words of `ExitStatus`; "" while it is not.

    submitted       a patch won, and did the same when it was run once more; it is applied in the workspace
    undecided       the candidates of a stage are spent without a decision; the workspace is as it was
    unverified      the winning patch did something else when it was run once more; the workspace is as it was
    lost_workspace  the workspace is no git repository, or cannot be put back to what it was
"""


@dataclass(frozen=True, slots=True)
class Definition:
    """A class or function of a Python file, with its decorators."""

    name: str
    """With the names of what it lies in: `Class.method`."""
    first: int
    last: int
    """Lines, from 1, both included."""


@dataclass(frozen=True, slots=True)
class ShownSource:
    """A file as the model is shown it."""

    path: str
    text: str
    """Where it is not whole, lines in brackets stand for what was left out."""
    definitions: tuple[Definition, ...] = ()
    there: bool = True
    """False for a file that would have to be made."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where the repository has to change."""

    path: str
    symbol: str = ""
    """A definition in it, or "" for what lies in none."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A piece of a file, whole lines of it, and what takes its place."""

    path: str
    old: str
    """Empty for a file that is made."""
    new: str


@dataclass(frozen=True, slots=True)
class Defect:
    """How a test fails: what two tests that show the same defect have in common, whatever their texts."""

    kind: str
    """The exception's type."""
    place: str
    """File and function of the repository where it arises; "" where the test itself raises it, as by an assertion."""


@dataclass(frozen=True, slots=True)
class ChangedTests:
    """Which tests a patch changes: what two patches that do the same have in common, whatever their texts."""

    fixed: tuple[str, ...]
    """Tests that failed before and pass now."""
    broken: tuple[str, ...] = ()
    """Tests that passed before and do not now; a patch with one of these is no ballot."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """World: the base that every attempt starts from, and the files that there are."""

    base: str
    """The name of its tree in git; empty if there is none."""
    listing: str
    tests: str
    """The folder that a new test goes to, `tests/`, or "" for the root."""
    why: str = ""
    kind: Literal["surveyed"] = "surveyed"


@dataclass(frozen=True, slots=True)
class ChosenFiles:
    """Model: the files to look into, in order of their names."""

    paths: tuple[str, ...]
    kind: Literal["files"] = "files"


@dataclass(frozen=True, slots=True)
class Opened:
    """World: what these files hold."""

    sources: tuple[ShownSource, ...]
    kind: Literal["opened"] = "opened"


@dataclass(frozen=True, slots=True)
class Places:
    """Model: the places that have to change, in order."""

    places: tuple[Place, ...]
    kind: Literal["places"] = "places"


@dataclass(frozen=True, slots=True)
class Baseline:
    """World: how the repository's own tests come out before anything is changed."""

    failing: tuple[str, ...] = ()
    passing: int = 0
    """0 if they tell nothing, so that no patch is known to break one."""
    why: str = ""
    kind: Literal["baseline"] = "baseline"


@dataclass(frozen=True, slots=True)
class WrittenTest:
    """Model: a candidate for the reproducing test."""

    text: str
    kind: Literal["written"] = "written"


@dataclass(frozen=True, slots=True)
class TestTried:
    """World: how a candidate test fails on the base, or why it is no ballot."""

    failure: Defect | None
    why: str = ""
    kind: Literal["test_tried"] = "test_tried"


@dataclass(frozen=True, slots=True)
class Edits:
    """Model: a candidate for the patch."""

    edits: tuple[Edit, ...]
    kind: Literal["edits"] = "edits"


@dataclass(frozen=True, slots=True)
class PatchTried:
    """World: which tests a candidate patch changes, or why it is no ballot."""

    change: ChangedTests | None
    size: int = 0
    """Lines that it takes and gives."""
    why: str = ""
    kind: Literal["patch_tried"] = "patch_tried"


@dataclass(frozen=True, slots=True)
class Lost:
    """World: there is no clean base any more."""

    why: str
    kind: Literal["lost"] = "lost"


StageAnswer = (
    Surveyed | ChosenFiles | Opened | Places | Baseline | WrittenTest | TestTried | Edits | PatchTried | Lost
)


@dataclass(frozen=True, slots=True)
class Test:
    """A candidate test and what became of it; without a failure it is no ballot."""

    text: str
    failure: Defect | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Patch:
    """A candidate patch and what became of it; without a change it is no ballot."""

    edits: tuple[Edit, ...]
    change: ChangedTests | None
    size: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class DecomposedState:
    """How far a run is, and what was decided and seen so far."""

    stage: Stage = "survey"
    turn: int = 0
    """Steps that a model decided."""
    calls: int = 0
    """Steps that the world answered."""
    surveyed: Surveyed = Surveyed("", "", "")
    files: tuple[str, ...] = ()
    sources: tuple[ShownSource, ...] = ()
    places: tuple[Place, ...] = ()
    baseline: Baseline = Baseline()
    candidate: WrittenTest | Edits | None = None
    """What is tried next."""
    tests: tuple[Test, ...] = ()
    reproducing: tuple[str, ...] = ()
    """The tests that fail in the way that won."""
    patches: tuple[Patch, ...] = ()
    winner: Patch | None = None
    ended: StageEnding = ""
    result: str = ""
    """In a sentence, why the run is over."""


STATES: Typed[DecomposedState] = Typed(DecomposedState)
ANSWERS: Typed[StageAnswer] = Typed(Annotated[StageAnswer, Field(discriminator="kind")])

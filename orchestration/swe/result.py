"""What became of an attempt, and of an instance: one file each, written when it is over."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from surefoot.agents.agent.exit_status import ExitStatus
from surefoot.agents.monitor.readers.files import contents
from surefoot.errors import BadInput
from surefoot.orchestration.report import Tokens
from surefoot.private_files import check_target, replacement

R = TypeVar("R", bound=BaseModel)
FILE = "result.json"
MOST_BYTES = 256 << 20


class Visible(BaseModel):
    """What the tests that the repository had at the base commit say of a patch: no agent, and no choice, sees the row's own."""

    model_config = ConfigDict(frozen=True)

    broken: tuple[str, ...]
    """Tests that passed without the patch and do not with it."""
    mended: tuple[str, ...]
    """Tests that were there and failed without it, and pass with it."""


class Result(BaseModel):
    """One attempt at an instance, at its end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instance_id: str
    attempt: int
    """From 1."""
    job: str
    """`surefoot show` knows it by this name."""
    exit_status: ExitStatus
    ended: bool = False
    """Whether the attempt itself came to its end, whichever."""
    why: str = ""
    """What happened, where the status does not say it all."""
    patch: str = ""
    """Checked on a clean checkout; empty if nothing was changed, or if it was refused."""
    files: tuple[str, ...] = ()
    """That the patch changes."""
    left_out: tuple[str, ...] = ()
    """Scratch files that are no part of it."""
    turns: int = 0
    calls: int = 0
    """Steps that the world answered."""
    tokens: Tokens | None = None
    seconds: float = 0.0
    """Of all runners on it, waits included."""
    score: float | None = None
    """How far it preferred its own thoughts to the environment, from 0 to 10, as `surefoot score` says."""
    interventions: int = 0
    """Of the monitor."""
    replayed: dict[str, int] = {}
    """Calls that were made again to make a workspace anew after a kill, by how they came out."""
    visible: Visible | None = None
    """None where they were not run: a single attempt is not chosen."""

    @property
    def is_over(self) -> bool:
        """Whether resuming the run leaves it as it is."""
        return self.ended or not self.exit_status.resumable

    @property
    def holds(self) -> bool:
        """Whether nothing that can be seen speaks against it: it was handed in, changes something and breaks no test."""
        done = self.exit_status in (ExitStatus.SUBMITTED, ExitStatus.ANSWERED)
        return done and bool(self.patch) and not (self.visible and self.visible.broken)

    @property
    def rank(self) -> tuple[float, ...]:
        """Order attempts by: tests that were run first, then the lowest score, then the smallest patch; the least is the best."""
        broken, mended = (len(self.visible.broken), len(self.visible.mended)) if self.visible else (0, 0)
        score = 0.0 if self.score is None else self.score
        return (not self.holds, not self.patch, broken, -mended, score, len(self.patch), self.attempt)


class InstanceResult(BaseModel):
    """What became of an instance: the chosen attempt, and whether its patch resolves the issue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instance_id: str
    attempts: int
    chosen: Result
    resolved: bool | None = None
    """None if nobody graded it: see `why`."""
    grader: str = ""
    fail_to_pass: tuple[int, int] | None = None
    """Tests that passed, of how many."""
    pass_to_pass: tuple[int, int] | None = None
    warnings: tuple[str, ...] = ()
    """What in the tests' log is known to deceive the official rules."""
    why: str = ""


def write(path: Path, result: BaseModel) -> None:
    """Write a result; it is there as a whole or not at all.  `BadInput` if it cannot be."""
    try:
        check_target(path)
        with replacement(path) as file:
            file.write(result.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise BadInput(f"{str(path)!r} cannot be written: {error.strerror or error}") from None


def read_attempt(folder: Path) -> Result | None:
    """Return the result in an attempt's folder, None if it is not over; `BadInput` if it cannot be read."""
    return _read(folder / FILE, Result)


def read_instance(folder: Path) -> InstanceResult | None:
    """Return the result in an instance's folder, likewise."""
    return _read(folder / FILE, InstanceResult)


def _read(path: Path, kind: type[R]) -> R | None:
    try:
        return kind.model_validate_json(contents(path, MOST_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{str(path)!r} cannot be read: {error.strerror or error}") from None
    except ValidationError as error:
        raise BadInput(
            f"{str(path)!r} is no result ({error.error_count()} mistakes): remove it, and resume the run"
        ) from None

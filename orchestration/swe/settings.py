"""What a run over many instances is, written down once where its results go."""

import secrets
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from surefoot.agents.monitor.readers.files import contents
from surefoot.errors import BadInput
from surefoot.private_files import check_target, replacement

FILE = "run.json"
MOST_BYTES = 1 << 20
EnvironmentName = Literal["bubblewrap", "local", "docker", "podman"]


class SweSettings(BaseModel):
    """How every instance of a run is worked on; fixed when the run begins, so that resuming it goes on with the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str = Field(default_factory=lambda: secrets.token_hex(4))
    """Part of every job's name."""
    instances: Path
    """The file or folder of rows, as it was given; the run has a copy of what it needs."""
    repos: Path | None
    """The folder of clones or mirrors; None where images have the repositories."""
    model: str
    """The model's address, without keys."""
    environment: EnvironmentName = "bubblewrap"
    readable: tuple[Path, ...] = ()
    """Folders of this machine that commands in bubblewrap may read, such as a Python with the tests' packages."""
    mode: Literal["agent", "decomposed"] = "agent"
    """One agent with tools, or small steps: localise, reproduce, patch, verify, each voted on by what an answer does."""
    candidates: int = Field(default=12, ge=1, le=100)
    """Tests, and patches, that a decomposed attempt may try."""
    attempts: int = Field(default=1, ge=1, le=100)
    """At most so many an instance; another one is made while none holds."""
    turns: int = Field(default=100, ge=1)
    votes: int = Field(default=1, ge=1, le=50)
    """The lead that a turn needs which changes anything; decomposed, that every decision needs."""
    window: int | None = Field(default=None, ge=1)
    """Of the model, in tokens; None is what its server says, and 32,000 for a decomposed attempt."""
    max_tokens: int = Field(default=4096, ge=1)
    """Of an answer."""
    temperature: float = Field(default=0.7, ge=0)
    timeout_s: float = Field(default=120.0, gt=0)
    """Of a command."""
    tests_s: float = Field(default=1800.0, gt=0)
    """Of a run of tests, and of a set-up command."""
    rebuild: Literal["replay", "snapshot"] = "replay"
    """How a workspace is made anew after a kill: the recorded calls are made again, or a snapshot is applied, which is taken after each of them."""
    monitor: bool = False
    """Whether an agent that thinks instead of acting is told, and at last stopped."""
    tokens: int | None = Field(default=None, gt=0)
    """Budget of an attempt."""
    cost: float | None = Field(default=None, gt=0)
    input_price: float | None = Field(default=None, ge=0)
    """Of a million tokens; as the next."""
    output_price: float | None = Field(default=None, ge=0)
    wall_s: float | None = Field(default=None, gt=0)
    """Seconds from an attempt's beginning, whether anybody works on it or not."""
    working_s: float | None = Field(default=None, gt=0)
    """Seconds of work on an attempt."""
    grade: bool = True
    """Whether the tests of the row say at the end if the patch resolves it."""
    keep: bool = False
    """Whether workspaces stay when an instance is over."""


def save(settings: SweSettings, out: Path) -> None:
    """Write the settings of a new run; `BadInput` if they cannot be written."""
    path = out / FILE
    try:
        check_target(path)
        with replacement(path) as file:
            file.write(settings.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise BadInput(f"{str(path)!r} cannot be written: {error.strerror or error}") from None


def load(out: Path) -> SweSettings:
    """Read the settings of a run; `BadInput` if there is none, or if they are none."""
    path = out / FILE
    try:
        return SweSettings.model_validate_json(contents(path, MOST_BYTES))
    except FileNotFoundError:
        raise BadInput(f"{str(out)!r} holds no run: `surefoot swe run --out {out!s}` begins one") from None
    except OSError as error:
        raise BadInput(f"{str(path)!r} cannot be read: {error.strerror or error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(f"{str(path)!r} holds no settings of a run: {where}: {first['msg']}") from None

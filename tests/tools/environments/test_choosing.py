"""An environment by its name, or the sentence that says what is missing."""

import sys
from pathlib import Path

import pytest

from surefoot import BadInput
from surefoot.tools.environments import Bubblewrap, Docker, Environment, Local, choose


@pytest.mark.parametrize(
    ("name", "more", "kind"),
    [
        (None, {}, Bubblewrap),
        ("bubblewrap", {}, Bubblewrap),
        ("bwrap", {}, Bubblewrap),
        ("local", {"trusted": True}, Local),
        ("docker", {"image": "python:3.12"}, Docker),
        ("podman", {"image": "python:3.12"}, Docker),
    ],
)
def test_a_name_chooses(name: str | None, more: dict[str, object], kind: type, workspace: Path) -> None:
    world: Environment = choose(name, workspace, **more)  # type: ignore[arg-type]
    assert type(world) is kind and world.name == {None: "bubblewrap", "bwrap": "bubblewrap"}.get(name, name)
    assert world.workspace == str(workspace)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("local", "trusted=True"),
        ("docker", "docker runs commands in a container: name the image"),
        ("podman", "podman runs commands in a container: name the image"),
        ("", "an environment is one of bubblewrap, local, docker, podman, not ''"),
        ("chroot", "not 'chroot'"),
    ],
)
def test_what_is_missing_is_said(name: str, says: str, workspace: Path) -> None:
    with pytest.raises(BadInput, match=says):
        choose(name, workspace)


def test_without_bubblewrap_it_says_how_to_get_it(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(workspace))
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [])
    with pytest.raises(BadInput, match=r"pip install 'surefoot\[sandbox\]'"):
        choose(None, workspace)

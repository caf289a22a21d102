"""Builds as setuptools does, and lets type checkers read an editable install.

An editable install finds the package by an import hook, since the checkout *is* the package and may be called anything.  Type
checkers run no hooks, and take everything from such a package for `Any`.  So `pip install -e` also makes a link
`.typing/surefoot-stubs` to the checkout, and names `.typing` in a .pth file: `NAME-stubs` is where type checkers look first
(PEP 561), and where Python itself never looks.
"""

import base64
import hashlib
import zipfile
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403  # the other hooks, as they are

FOLDER = Path(__file__).resolve().parents[1] / ".typing"
PATHS = "surefoot-typing.pth"


def build_editable(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """Build an editable wheel; where links cannot be made it is setuptools' own."""
    name: str = build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    try:
        FOLDER.mkdir(exist_ok=True)
        link = FOLDER / "surefoot-stubs"
        if not link.is_symlink():
            link.symlink_to("..", target_is_directory=True)
    except OSError:
        return name
    _add(Path(wheel_directory) / name, PATHS, f"{FOLDER}\n".encode())
    return name


def _add(wheel: Path, name: str, content: bytes) -> None:
    """Add a file to a wheel, and to the wheel's list of its files."""
    with zipfile.ZipFile(wheel) as archive:
        files = {entry: archive.read(entry) for entry in archive.namelist()}
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    record = next(entry for entry in files if entry.endswith(".dist-info/RECORD"))
    files[record] += f"{name},sha256={digest},{len(content)}\n".encode()
    with zipfile.ZipFile(wheel, "w") as archive:
        for entry, data in {**files, name: content}.items():
            archive.writestr(entry, data)

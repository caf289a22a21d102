"""The root is the package: what pyproject lists, what lies there and what the wheel holds are the same."""

import ast
import importlib
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import surefoot

ROOT = Path(__file__).parents[1]
OUTSIDE = {"tests", "bench", "build_backend", "examples", "docs", "build", "out"}
"""Folders that are no part of the package."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in a wheel freshly built from a copy: setuptools writes where it builds."""
    out, copy = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("copy") / "surefoot"
    shutil.copytree(
        ROOT, copy, ignore=shutil.ignore_patterns(".*", "*.egg-info", "build", "out", "__pycache__")
    )
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(out),
        str(copy),
    ]
    subprocess.run(command, check=True, timeout=300)
    with zipfile.ZipFile(next(out.glob("surefoot-*.whl"))) as archive:
        return archive.namelist()


def folders() -> set[str]:
    """Every folder of the checkout with Python modules that belong to the package, as a package name."""
    own = [path.parent.relative_to(ROOT) for path in ROOT.glob("*/**/*.py")] + [Path()]
    parts = [folder.parts for folder in own]
    kept = [part for part in parts if not any(name.startswith(".") or name in OUTSIDE for name in part)]
    return {".".join(("surefoot", *part)) for part in kept if "__pycache__" not in part}


def test_pyproject_lists_every_folder() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert set(listed) == folders()


def test_the_wheel_holds_every_module_and_nothing_else(wheel: list[str]) -> None:
    modules = {name for name in wheel if name.endswith(".py")}
    expected = set()
    for package in folders():
        folder = ROOT.joinpath(*package.split(".")[1:])
        expected |= {f"{package.replace('.', '/')}/{path.name}" for path in folder.glob("*.py")}
    assert modules == expected


def test_the_wheel_holds_the_typing_mark_the_weights_and_the_page(wheel: list[str]) -> None:
    assert {
        "surefoot/py.typed",
        "surefoot/__init__.pyi",
        "surefoot/models/embedded/weights/pebble/pebble.gguf",
        "surefoot/models/embedded/weights/pebble/CARD.md",
        "surefoot/serving/dashboard/assets/page.css",
        "surefoot/serving/dashboard/assets/page.html",
        "surefoot/serving/dashboard/assets/page.js",
    } <= set(wheel)


@pytest.mark.parametrize("package", sorted(folders()))
def test_a_face_exports_what_it_names(package: str) -> None:
    """No module beside it may hide a name: a lazy name would be the module as soon as something else imported that."""
    folder, face = ROOT.joinpath(*package.split(".")[1:]), importlib.import_module(package)
    offered = getattr(face, "__all__", [])
    assert all(hasattr(face, name) for name in offered)
    assert not {path.stem for path in folder.iterdir()} & set(offered)
    if (stub := folder / "__init__.pyi").exists():
        (listed,) = [node.value for node in ast.parse(stub.read_text()).body if isinstance(node, ast.Assign)]
        assert sorted(ast.literal_eval(listed)) == sorted(offered)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    assert not hasattr(surefoot, "stumble")


def test_a_room_of_its_own_does_not_load_the_others() -> None:
    """Worker processes and the guard of the embedded Redis start in a fraction of what LangGraph takes to load."""
    code = "import sys, surefoot.models.embedded.worker, surefoot.orchestration.redis.embedded; print('langgraph' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"


def test_nothing_is_importable_as_a_bare_room() -> None:
    code = "import importlib.util, sys; sys.exit(any(map(importlib.util.find_spec, ['agents', 'voting', 'orchestration'])))"
    assert subprocess.run([sys.executable, "-P", "-c", code], cwd="/", timeout=60).returncode == 0

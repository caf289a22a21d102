"""A file that is written as a whole, beside its place, under a name that cannot be guessed (Z19)."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from surefoot.private_files import ForeignFile, check_target, replacement


def test_a_file_appears_as_a_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "moves"
    out.write_text("before\n")
    with replacement(out) as file:
        file.write("after, \ud800\n")
        assert out.read_text() == "before\n"
    assert out.read_text() == "after, \\ud800\n"
    assert list(tmp_path.iterdir()) == [out]


def test_a_writing_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "moves"
    out.write_text("before\n")
    with pytest.raises(RuntimeError), replacement(out) as file:
        file.write("half")
        raise RuntimeError
    assert out.read_text() == "before\n"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("name", ["moves.part", ".moves.part", "moves.tmp", "moves~"])
def test_a_link_where_a_part_might_be_written_is_not_followed(tmp_path: Path, name: str) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / name).symlink_to(tmp_path / "victim")
    with replacement(tmp_path / "moves") as file:
        file.write("moves\n")
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "moves").read_text() == "moves\n"


def test_no_two_parts_share_a_name(tmp_path: Path) -> None:
    with replacement(tmp_path / "moves"), replacement(tmp_path / "moves"):
        names = [path.name for path in tmp_path.iterdir()]
    assert len(set(names)) == 2


def link(path: Path) -> None:
    (path.parent / "victim").write_text("precious")
    path.symlink_to(path.parent / "victim")


def dangling(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


@pytest.mark.parametrize(
    "put", [link, dangling, os.mkfifo, Path.mkdir], ids=lambda put: f"Z19 {put.__name__}"
)
def test_a_place_that_holds_something_else_is_refused_before_anything_is_written(
    tmp_path: Path, put: Callable[[Path], Any]
) -> None:
    put(tmp_path / "moves")
    before = set(tmp_path.iterdir())
    with pytest.raises(ForeignFile, match="not a file") as refused:
        check_target(tmp_path / "moves")
    assert "moves" in str(refused.value.strerror)
    assert set(tmp_path.iterdir()) == before


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check_target(tmp_path / "nowhere" / "moves")


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_file_is_as_open_as_its_owner_has_it(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with replacement(tmp_path / "moves") as file:
            file.write("x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "moves").stat().st_mode) == 0o666 & ~umask

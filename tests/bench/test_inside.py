"""bench/inside.py from its options to its page, at the smallest sizes; it needs torch (`make test-local`)."""

from pathlib import Path

import pytest

from surefoot.tests.bench.test_scripts import run


@pytest.mark.local
def test_the_bench_of_what_is_inside_runs_to_its_page(tmp_path: Path) -> None:
    options = (
        "--problems 2 --calibration 40 --study 4 --difficulties sum4 --temperatures 1 --random 1 --results ."
    )
    done = run("inside.py", options, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "inside.md").read_text()
    assert page in done.stdout
    assert all(
        f"\n| {control}" in page
        for control in ("exit by text", "exit by before", "random vector", "wrong heads", "all heads")
    )

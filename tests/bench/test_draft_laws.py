"""bench/draft_laws.py from its options to its page, at the smallest sizes; it needs torch (`make test-train`)."""

from pathlib import Path

import pytest

from surefoot.tests.bench.test_scripts import run


@pytest.mark.train
def test_the_bench_of_draft_laws_runs_to_its_page(tmp_path: Path) -> None:
    options = "--widths 16 32 64 --budgets 2400 4800 9600 19200 --problems 1 --texts 1 --tokens 20 --rounds 1 --work . --results ."
    done = run("draft_laws.py", options, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "draft-laws.md").read_text()
    assert page in done.stdout
    assert "| 1 x 64 |" in page and "\n| 24, 1 x 64, 8 |" in page
    assert "All texts are those without drafts: yes" in page

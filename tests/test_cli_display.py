"""What comes from data is shown as it is, also where it looks like the markup of the library that prints it."""

import io
import time

import pytest
from rich.console import RenderableType

from surefoot.cli.display import ProgressDisplay, page, progress_table
from surefoot.cli.job_list import Listing, cells
from surefoot.cli.terminal import Terminal
from surefoot.orchestration.journal.jobs import UnreadableJob
from surefoot.orchestration.progress import Progress
from surefoot.orchestration.report import Contest, Report, RungUse, Tokens

PATIENCE_S = 60.0
MARKUP = ["[/INST]", "yes [true,1]", "[red]no", ":smile:"]


def printed(what: RenderableType) -> str:
    shown = io.StringIO()
    Terminal(file=shown).print(what)
    return shown.getvalue()


def full_of(text: str) -> Report:
    """A report with this text in every place that data can reach."""
    stall = {"step": 3, "tally": {f"t{text}": 2}, "red_flags": {f"f{text}": 1}, "examples": [f"e{text}"]}
    return Report(
        job=f"j{text}",
        task=f"n{text}",
        spec={"x": f"s{text}"},
        models=[f"m{text}"],
        status="stalled",
        solved=False,
        steps=3,
        steps_expected=7,
        steps_read_back=3,
        k=2,
        votes=9,
        samples=12,
        red_flags={f"r{text}": 3},
        contested=1,
        contested_steps=[Contest(step=1, winner=f"w{text}", votes=3, against={f"a{text}": 1})],
        dissent_rate=0.1,
        repairs=0,
        reliability=None,
        risk=None,
        hard=None,
        dissent_bound=0.2,
        risk_measured=None,
        calibration=None,
        speculation=None,
        rungs=[RungUse(rung=f"g{text}", climbed=2, decided=1, samples=9, steps=[1])],
        tokens=Tokens(prompt=1, cached=0, completion=1, reasoning=0, total=2),
        wall_s=1.0,
        head="0" * 32,
        stall=stall,
    )


@pytest.mark.parametrize("text", MARKUP)
def test_a_report_loses_nothing(text: str) -> None:
    shown = printed(page(full_of(text), "surefoot show x"))
    for place in "jnsmrwatfeg":
        assert f"{place}{text}" in shown


@pytest.mark.parametrize("text", MARKUP)
def test_a_list_of_jobs_loses_nothing(text: str) -> None:
    shown = printed(Listing([cells(UnreadableJob(f"j{text}", f"w{text}"), now=0)]))
    assert f"j{text}" in shown
    assert f"w{text}" in shown


@pytest.mark.parametrize("text", MARKUP)
def test_the_live_display_loses_nothing(text: str) -> None:
    progress = Progress(job=f"j{text}", task=f"t{text}", waiting=f"w{text}", k=2)
    progress.flags[f"f{text}"] += 1
    shown = printed(progress_table(progress))
    for place in "jtwf":
        assert f"{place}{text}" in shown


def test_the_lines_of_a_run_without_a_terminal_lose_nothing() -> None:
    shown = io.StringIO()
    waiting = " ".join(MARKUP)
    with ProgressDisplay(Progress(job="[/x]", waiting=waiting), Terminal(file=shown)):
        deadline = time.monotonic() + PATIENCE_S
        while not shown.getvalue().endswith("\n") and time.monotonic() < deadline:
            time.sleep(0.1)
    assert shown.getvalue().startswith("[/x]: starting")
    assert shown.getvalue().endswith(f"; waiting: {waiting}\n")


@pytest.mark.parametrize(
    ("contested", "said"), [(0, "at k = 1 no vote can dissent"), (3, "the task has leads of its own")]
)
def test_at_k_1_dissent_tells_of_leads_of_the_tasks_own(contested: int, said: str) -> None:
    report = full_of("").model_copy(update={"k": 1, "contested": contested, "contested_steps": []})
    assert said in printed(page(report, ""))


def test_a_long_argument_is_cut_where_a_person_reads_it() -> None:
    report = full_of("x").model_copy(update={"spec": {"problem": "p" * 5_000, "votes": 3}})
    line = next(line for line in printed(page(report, "")).splitlines() if line.startswith("task"))
    assert line.rstrip().endswith("ppp... votes=3")
    assert len(line.rstrip()) < 300

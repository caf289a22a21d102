"""`surefoot solve` and what `surefoot show` says of its jobs: real processes, a real server, a state directory of its own."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from surefoot import BadInput, read_picture
from surefoot.agents.perception.looking import FRAMINGS
from surefoot.agents.planner import read_outline
from surefoot.cli.problem import ProblemOptions
from surefoot.models.base import Ask, Prompt
from surefoot.models.doubles import (
    Double,
    Garbage,
    ParaphraseDouble,
    equivalence_double,
    goal_double,
    looking_double,
    town_answer,
    town_problem,
)
from surefoot.models.doubles.server import DoubleServer
from surefoot.orchestration.solve import task_of
from surefoot.tools.drawing import draw_bars
from surefoot.tools.pictures.crops import Box, crop, framed
from surefoot.voting.samples import Sample

PATIENCE_S = 120.0
PRODUCT = "What is 734 * 902?"
ANSWER = "662068"
FAILED, BAD_INPUT, STOPPED = 1, 2, 3


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The last line on standard error."""
        return self.err.splitlines()[-1]


class Surefoot:
    """The command line with a state directory of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {**os.environ, "SUREFOOT_HOME": str(home), "COLUMNS": "200"}

    def __call__(self, *arguments: object, typed: bytes = b"") -> Done:
        done = subprocess.run(self.command(*arguments), env=self.environment, input=typed, capture_output=True, timeout=PATIENCE_S)  # fmt: skip
        found = Done(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in found.err, found.err
        return found

    @staticmethod
    def command(*arguments: object) -> list[str]:
        return [sys.executable, "-m", "surefoot.cli", *map(str, arguments)]


class Gate:
    """A double that stands still before it draws one sample more than `answers`, until it is opened."""

    def __init__(self, double: Double, answers: int) -> None:
        self._double, self._left = double, answers
        self.reached, self.opened = threading.Event(), threading.Event()

    @property
    def name(self) -> str:
        return self._double.name

    def draw(self, ask: Ask) -> Sample:
        if self._left == 0:
            self.reached.set()
            self.opened.wait(PATIENCE_S)
        self._left -= 1
        return self._double.draw(ask)

    def delay(self, ask: Ask) -> float:
        return self._double.delay(ask)


@contextmanager
def served(model: Double | Garbage | Gate) -> Iterator[str]:
    """Serve from a thread, for commands that are processes; yields the URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = DoubleServer(model)
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
    try:
        yield server.url
    finally:
        if isinstance(model, Gate):
            model.opened.set()
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def sf() -> Iterator[Surefoot]:
    # Not pytest's own: a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="sf-", ignore_cleanup_errors=True) as directory:
        yield Surefoot(Path(directory))


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    with served(goal_double(error=0.2, seed=1)) as url:
        yield url


@pytest.fixture(scope="module")
def solved(sf: Surefoot, model: str) -> Done:
    """A job named `product`."""
    return sf("solve", PRODUCT, "--kind", "number", "--votes", 4, "--model", model, "--job", "product")


def test_the_answer_alone_is_on_standard_output(solved: Done) -> None:
    assert (solved.code, solved.out) == (0, f"{ANSWER}\n")


def test_a_problem_comes_from_standard_input_or_a_file(sf: Surefoot, model: str, tmp_path: Path) -> None:
    asked = ("--model", model, "--votes", 4)
    assert sf("solve", "-", *asked, typed=b"\xef\xbb\xbf What is 7 * 9?\n").out == "63\n"
    file = tmp_path / "problem.txt"
    file.write_text(PRODUCT)
    assert sf("solve", "--file", file, *asked).out == f"{ANSWER}\n"


@pytest.mark.parametrize("option", ["-", "--file", "--outline"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_it_ends_while_it_waits_for_its_problem(
    sf: Surefoot, tmp_path: Path, option: str, number: signal.Signals
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    asked = ("solve", option, *(() if option == "-" else (fifo,)), "--model", "http://127.0.0.1:9/v1")
    with subprocess.Popen(sf.command(*asked), env=sf.environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # fmt: skip
        assert process.stdin is not None and process.stderr is not None
        try:
            with process.stdin if option == "-" else fifo.open("wb") as given:
                given.write(b" " * 100_000)  # more than a pipe holds: it is being read
                given.flush()
                code = ended_by(number, process)
        finally:
            process.kill()
        said = process.stderr.read().decode()
    ended = (130, "surefoot: interrupted\n") if number == signal.SIGINT else (-signal.SIGTERM, "")
    assert (code, said) == ended


def ended_by(number: signal.Signals, process: subprocess.Popen[bytes]) -> int | None:
    """Send a signal, once more where it came between two reads, before which CPython does not look; return the exit code."""
    for _ in range(5):
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            return process.wait(3)
    return None


def test_an_answer_of_several_lines_is_printed_as_it_is(sf: Surefoot, tmp_path: Path) -> None:
    file = tmp_path / "outline.json"
    parts = [{"problem": "Translate: One."}, {"problem": "Translate: Two."}]
    file.write_text(json.dumps({"problem": "Translate.", "combine": "concatenate", "parts": parts}))

    def translated(prompt: Prompt) -> str:
        return f"answer = {'Un' if 'One' in str(prompt) else 'Deux'} \x1b[2J"

    with served(Double(translated, lambda prompt, _: translated(prompt))) as url:
        done = sf("solve", "--outline", file, "--depth", 0, "--model", url)
    assert (done.code, done.out) == (0, "Un \\x1b[2J\nDeux \\x1b[2J\n")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "nothing to solve: give PROBLEM, --file or --outline"),
        ({"file": Path("/nowhere")}, "cannot be read from '/nowhere': No such file or directory"),
        ({"file": Path("/")}, "cannot be read from '/': Is a directory"),
        ({"file": Path("/dev/zero")}, "the problem in '/dev/zero' has more than 100,000 characters"),
        ({"problem": "x", "file": Path("y")}, "comes from one place: give PROBLEM or --file"),
        (
            {"problem": "x", "outline": Path("/nowhere")},
            "the outline cannot be read from '/nowhere': No such file",
        ),
        ({"outline": Path("/dev/null")}, "the outline cannot be read: Invalid JSON"),
        ({"outline": Path("/dev/zero")}, "the outline in '/dev/zero' has more than 5,000,000 characters"),
        ({"problem": ""}, "a problem is a text of 1 to 100,000 characters"),
        ({"problem": "\udcff"}, "a problem is a text of 1 to 100,000 characters"),
        ({"problem": "x", "kind": "prose"}, "kind of Goal must be of type"),
        ({"problem": "x", "kind": "code"}, "an answer is one line, and code is more"),
        ({"problem": "x", "votes": 0}, "votes are a lead of 1 to 50, not 0"),
        ({"problem": "x", "depth": 50}, "a depth is a number from 0 to 49, not 50"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_before_anything_is_asked(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=re.escape(said)):
        task_of(**ProblemOptions(**given).given())


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        (("-",), b"\xff\xfe", "the problem on standard input is no UTF-8: invalid start byte at byte 0"),
        (("-",), b"x" * 400_001, "the problem on standard input has more than 100,000 characters"),
        (("x", "--votes", 4, "--limit", 3), b"", "limit must be at least votes = 4 samples, not 3"),
        (("x", "--k", 3), b"", "no such option: --k"),
    ],
    ids=["no UTF-8", "too long", "limit", "k"],
)
def test_what_cannot_be_is_said_in_one_sentence(
    sf: Surefoot, arguments: tuple[object, ...], typed: bytes, said: str
) -> None:
    done = sf("solve", *arguments, "--model", "http://127.0.0.1:9/v1", typed=typed)
    assert (done.code, done.out) == (BAD_INPUT, "")
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_a_model_has_to_be_named(sf: Surefoot) -> None:
    done = sf("solve", PRODUCT)
    assert (done.code, done.out) == (BAD_INPUT, "")
    assert "missing option '--model'" in done.err


def test_json_has_the_answer_the_parts_and_the_report(sf: Surefoot, model: str) -> None:
    done = sf("solve", PRODUCT, "--votes", 4, "--model", model, "--json")
    found = json.loads(done.out)
    assert (done.code, set(found), found["answer"]) == (
        0,
        {"answer", "parts", "observations", "report", "runs"},
        ANSWER,
    )
    assert found["parts"][-1]["problem"] == PRODUCT
    assert found["report"]["solved"]


def test_a_budget_that_is_spent_is_no_answer_and_says_how_to_go_on(sf: Surefoot, model: str) -> None:
    asked = ("solve", PRODUCT, "--votes", 4, "--model", model, "--job", "bit by bit")
    stopped = sf(*asked, "--max-steps", 5)
    assert (stopped.code, stopped.out) == (STOPPED, "")
    assert stopped.sentence.startswith("surefoot: no answer yet: stopped before step 5")
    assert stopped.sentence.endswith("; `surefoot resume 'bit by bit'` goes on")
    spoken = sf(*asked, "--max-steps", 1, "--json")
    found = json.loads(spoken.out)
    assert (spoken.code, found["answer"], found["report"]["status"]) == (STOPPED, None, "stopped")
    assert found["error"].startswith("no answer yet")
    assert "SOLVED" in sf("resume", "bit by bit").out
    assert sf(*asked).out == f"{ANSWER}\n"


def test_with_several_branches_a_sentence_leads_to_all_of_the_jobs(sf: Surefoot, model: str) -> None:
    asked = ("solve", PRODUCT, "--votes", 4, "--branches", 4, "--job", "parts at once", "--model")
    stopped = sf(*asked, model, "--max-steps", 5)
    assert stopped.code == STOPPED
    assert stopped.sentence.endswith("; the same command with `--job 'parts at once'` goes on")
    assert sf(*asked, model).out == f"{ANSWER}\n"
    chart = sf("show", "parts at once.plan", "--mermaid").out
    assert "#61;" not in chart  # an outline has no answers
    with served(Garbage()) as url:
        stalled = sf(*asked[:-2], "no parts", "--limit", 5, "--model", url)
    assert re.search(r"`surefoot resume 'no parts\.plan\.[0-9a-f]{8}'` goes on$", stalled.sentence)


def test_a_stall_is_a_stall_and_says_how_to_go_on(sf: Surefoot, model: str) -> None:
    with served(Garbage()) as url:
        stalled = sf("solve", PRODUCT, "--limit", 10, "--model", url, "--job", "stuck")
    assert (stalled.code, stalled.out) == (FAILED, "")
    assert "step 0 stalled: no ballot got far enough ahead in 10 samples" in stalled.sentence
    # Another way was taken, as a job of its own, and stalled as well.
    assert re.search(
        r"`surefoot show (stuck\.[0-9a-f]{8})` shows the job, `surefoot resume \1` goes on$", stalled.sentence
    )
    assert "SOLVED" in sf("resume", "stuck", "--model", model).out
    assert json.loads(sf("show", "stuck", "--state").out)["done"][-1]["answer"] == ANSWER


def test_the_report_of_a_solved_job_says_where_its_answer_is(sf: Surefoot, solved: Done) -> None:
    assert sf("show", "product").out.splitlines()[-1] == "surefoot show product --state"


def test_a_chart_is_drawn_of_a_job_of_its_kind(sf: Surefoot, solved: Done) -> None:
    chart = sf("show", "product", "--mermaid").out.splitlines()
    assert chart[0] == "flowchart TD"
    assert chart[1].startswith(f'    n0["What is 734 #42; 902?<br/>#61; {ANSWER}<br/>')
    assert sum("-->" in line for line in chart) == 6
    assert json.loads(sf("show", "product", "--mermaid", "--json").out)["mermaid"].splitlines() == chart


def test_an_outline_is_written_edited_and_solved_by(
    sf: Surefoot, solved: Done, model: str, tmp_path: Path
) -> None:
    file = tmp_path / "outline.json"
    said = sf("show", "product", "--outline", file).out
    written = read_outline(file.read_text())
    assert (
        said
        == f"outline {written.digest[:12]} is in {file}: edited or not, `surefoot solve --outline` goes by it\n"
    )
    spoken = json.loads(sf("show", "product", "--outline", file, "--json").out)
    assert spoken == {"job": "product", "digest": written.digest, "outline": str(file)}

    asked = ("solve", "--outline", file, "--depth", 0, "--votes", 4, "--model", model, "--job", "given")
    assert sf(*asked).out == f"{ANSWER}\n"
    assert sf("show", "given", "--json").out != sf("show", "product", "--json").out
    file.write_text(file.read_text().replace('"What is 90 * 4?"', '"What is 4 * 90?"'))
    edited = read_outline(file.read_text())
    refused = sf(*asked)
    assert (refused.code, refused.out) == (BAD_INPUT, "")
    assert (
        f"started with outline {written.digest[:12]} and is given outline {edited.digest[:12]} now"
        in refused.sentence
    )
    assert sf(*asked[:-1], "edited").out == f"{ANSWER}\n"
    assert "of another problem" in sf("solve", "What is 2 * 2?", *asked[1:-1], "x").sentence

    file.write_text(file.read_text().replace('"What is 4 * 90?"', '" "'))
    wrong = sf(*asked)
    assert (wrong.code, wrong.sentence.partition(": ")[2]) == (BAD_INPUT, "the outline is wrong at parts[0].parts[1]: a part is empty, or is a problem that it is a part of")  # fmt: skip


def test_a_killed_job_goes_on_by_its_outline(sf: Surefoot, solved: Done, tmp_path: Path) -> None:
    file = tmp_path / "outline.json"
    sf("show", "product", "--outline", file)
    gate = Gate(goal_double(), answers=50)  # of them 34 for the probe
    with served(gate) as url:
        asked = ("solve", "--outline", file, "--votes", 4, "--model", url, "--job", "killed")
        said = tmp_path / "said"
        with said.open("wb") as file_of, subprocess.Popen(sf.command(*asked), env=sf.environment, stdout=file_of, stderr=file_of) as process:  # fmt: skip
            assert gate.reached.wait(PATIENCE_S), said.read_text()
            process.send_signal(signal.SIGKILL)
        gate.opened.set()
        assert sf(*asked).out == f"{ANSWER}\n"
        whole = sf(*asked[:-1], "undisturbed")
    assert whole.out == f"{ANSWER}\n"
    heads = [json.loads(sf("show", job, "--json").out)["head"] for job in ("killed", "undisturbed")]
    assert heads[0] == heads[1]


def test_other_jobs_and_other_options_are_refused_in_one_sentence(
    sf: Surefoot, solved: Done, tmp_path: Path
) -> None:
    sf("run", "towers", "--disks", 1, "--k", 1, "--job", "tower")
    for asked in (("--mermaid",), ("--outline", tmp_path / "o.json")):
        refused = sf("show", "tower", *asked)
        assert (refused.code, refused.out) == (BAD_INPUT, "")
        assert "job 'tower' is of task 'towers', not of 'goal'" in refused.sentence
        assert "each given alone" in sf("show", "product", *asked, "--state").sentence
    assert "each given alone" in sf("show", "product", "--mermaid", "--step", 1).sentence
    assert "cannot be written to" in sf("show", "product", "--outline", tmp_path / "no" / "o.json").sentence
    assert not list(tmp_path.iterdir())


def seen_columns(chart: Path, values: tuple[int, ...]) -> Callable[[Prompt], str]:
    """A perceiver that knows the columns of a chart by their pixels, in all framings."""
    drawn = draw_bars(values)
    drawn.image.save(chart)
    known = {
        framed(crop(read_picture(chart), Box(*column)), framing).digest: str(value)
        for column, value in zip(drawn.columns, values, strict=True)
        for framing in FRAMINGS
    }
    # The client tries what a server can by text alone.
    return lambda prompt: (
        "" if isinstance(prompt, str) or not prompt[-1].pictures else known[prompt[-1].pictures[0].digest]
    )


def test_a_picture_is_looked_at_by_another_model_and_the_job_is_taken_up_by_both(
    sf: Surefoot, tmp_path: Path
) -> None:
    chart = tmp_path / "chart.png"
    right = seen_columns(chart, (12, 345, 7))
    eyes = Double(right, lambda _, which: str(1000 + which % 5000), error=0.2, name="eyes")
    problem = "A bar chart has 3 bars, A to C. What is (A + B) * 3?"
    with served(looking_double(error=0.2)) as planner, served(eyes) as perceiver:
        asked = (
            "solve",
            problem,
            "--image",
            chart,
            "--model",
            planner,
            "--perceiver",
            perceiver,
            "--votes",
            4,
        )
        stopped = sf(*asked, "--job", "chart", "--max-steps", 2)
        assert (stopped.code, stopped.out) == (STOPPED, "")
        assert "SOLVED" in sf("resume", "chart").err + sf("show", "chart").out
        done = sf(*asked, "--job", "chart")
        assert (done.code, done.out) == (0, "1071\n")
        found = json.loads(sf(*asked, "--json").out)
    assert [seen["answer"] for seen in found["observations"]] == ["12", "345"]
    assert found["observations"][1]["digest"] == read_picture(chart).digest
    assert all(seen["votes"] >= 4 and seen["model"] == perceiver for seen in found["observations"])
    assert found["report"]["models"] == [f"{planner} + {perceiver}"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--image", "chart.png"), "give images and a perceiver"),
        (("--perceiver", "template"), "give images and a perceiver"),
        (("--caption", "What?"), "give images and a perceiver"),
        (("--extend",), "give images and a perceiver"),
        (("--rephrase",), "give images and a perceiver"),
        (("--image", "nothing.png", "--perceiver", "template"), "'nothing.png' is no file"),
        (("--image", "/dev/null", "--perceiver", "template"), "/dev/null"),
    ],
)
def test_pictures_that_cannot_be_looked_at_are_refused(
    sf: Surefoot, model: str, given: tuple[str, ...], said: str
) -> None:
    done = sf("solve", PRODUCT, "--model", model, *given)
    assert (done.code, done.out) == (BAD_INPUT, "") and said in done.sentence


def test_answers_in_other_words_are_one_by_the_word_of_a_second_model(sf: Surefoot) -> None:
    problem = ("solve", town_problem(7), "--votes", 4, "--depth", 0, "--replans", 0, "--limit", 14)
    with served(ParaphraseDouble(error=0.1, seed=7)) as answering, served(equivalence_double()) as judging:
        alone = sf(*problem, "--model", answering)
        assert (alone.code, alone.out) == (FAILED, "")
        done = sf(*problem, "--model", answering, "--equivalence", judging, "--job", "town")
        shown = sf("show", "town").out
    assert done.code == 0 and town_answer(7) in done.out
    assert f"{answering} ~ {judging}" in shown


def test_an_outline_is_decided_before_anything_is_answered(sf: Surefoot, model: str, tmp_path: Path) -> None:
    file = tmp_path / "outline.json"
    asked = ("outline", PRODUCT, "--votes", 4, "--model", model, "--job", "before", "--out", file)
    stopped = sf(*asked, "--max-steps", 2)
    assert (stopped.code, file.exists()) == (STOPPED, False)
    assert stopped.sentence.endswith("; `surefoot resume before` goes on")
    decided = sf(*asked)
    outline = read_outline(file.read_text())
    assert decided.out.startswith(f"outline {outline.digest[:12]} is in {file}")
    assert len(outline.parts) == 2 and all(part.answer is None for part in outline.parts)
    found = sf(
        "solve",
        "--outline",
        file,
        "--depth",
        0,
        "--votes",
        4,
        "--branches",
        3,
        "--model",
        model,
        "--job",
        "after",
        "--json",
    )
    runs = json.loads(found.out)["runs"]
    assert json.loads(found.out)["answer"] == ANSWER
    assert [run["node"] for run in runs] == ["plan", *["branch"] * len(list(outline.open_leaves())), "whole"]
    assert all(run["report"]["solved"] for run in runs)


def test_answers_so_far_are_put_into_an_outline(sf: Surefoot, model: str, tmp_path: Path) -> None:
    file = tmp_path / "outline.json"
    asked = (PRODUCT, "--votes", 4, "--model", model)
    sf("solve", *asked, "--job", "part way", "--max-steps", 40)
    sf("show", "part way", "--outline", file, "--answers")
    given = [part.answer for part in read_outline(file.read_text()).parts]
    assert given[0] == "66060"
    done = sf("solve", "--outline", file, "--votes", 4, "--model", model, "--json")
    assert json.loads(done.out)["answer"] == ANSWER
    alone = sf("show", "part way", "--answers")
    assert alone.code == 2 and "--outline" in alone.sentence

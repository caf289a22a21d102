"""Exits at cues: which rule leaves where, what is answered then, and what a calibration promises and refuses."""

import math
import random
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.agents.reasoning.control import Control, StreamState
from surefoot.agents.reasoning.exit_calibration import ExitCalibration, TooFewUnsafeExits, parted
from surefoot.agents.reasoning.exit_labels import (
    Problem,
    collect_exits,
    read_forced,
    read_problems,
    write_forced,
)
from surefoot.agents.reasoning.exit_scores import Forced, Score
from surefoot.agents.reasoning.exits import Conformal, Deer, Dynasor, Exit, ExitRule
from surefoot.agents.reasoning.probes import Probing, Spotter, normalised, same_answer
from surefoot.agents.reasoning.reasoner import Reasoner
from surefoot.errors import BadInput
from surefoot.models.base import Ask, Message, ModelUnavailable
from surefoot.models.doubles.faults import Fault
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.doubles.thinking import ThinkingDouble
from surefoot.models.doubles.thoughts import ScriptedThought, Writer, overthinker, scripted
from surefoot.models.openai import OpenAIModel
from surefoot.models.streaming import Draw, Piece, Streaming
from surefoot.voting.samples import Usage

STEPS = [
    ScriptedThought("First, it is 5.", "5", 0.5),
    ScriptedThought("Wait, it is 4.", "4", 0.97),
    ScriptedThought("Hmm, is it? It is 4.", "4", 0.99),
    ScriptedThought("So 2 + 2 is known.", "4", 0.9),
    ScriptedThought("Alternatively, count: it is 4.", "4", 0.9),
    ScriptedThought("Wait, I do not know.", "4", 0.9),
]
ASK = Ask("2 + 2?", 0.6, 64, 1)
BEGUN = Draw(prompt="2 + 2?", temperature=0.6, max_tokens=512, seed=1, begun="<think>")
SOON = Probing(most=2)


class Silent(ThinkingDouble):
    """A server that sends no log-probabilities."""

    async def stream(self, draw: Draw) -> AsyncGenerator[Piece, None]:
        async for piece in super().stream(replace(draw, top_logprobs=0)):
            yield piece


class Biased(Control):
    """Has settings that a probe must not take over."""

    name = "biased"

    async def prepare(self, state: StreamState, model: Streaming) -> None:
        state.draw = replace(state.draw, logit_bias=((7, -3.0),), thinking_budget=99)


async def think(*controls: Control, writer: Writer | None = None) -> tuple[StreamState, ThinkingDouble]:
    double = ThinkingDouble(writer or scripted(STEPS))
    return await Reasoner(double, *controls).think(ASK), double


def steps_before_exit(state: StreamState) -> int | None:
    """Return how many steps of the script were thought when an exit was taken; None if none was."""
    kept = [
        "\n" + "".join(f"{step.thought}\n\n" for step in STEPS[:number]) for number in range(len(STEPS) + 1)
    ]
    return kept.index(state.thought) if state.ended_by else None


@pytest.mark.parametrize(
    ("rule", "steps"),
    [
        (Deer(), 2),
        (Deer(0.4), 1),
        (Deer(0.98), None),
        (Deer(geometric=True), 2),
        (Dynasor(1), 1),
        (Dynasor(2), 4),
        (Dynasor(3), 5),
        (Dynasor(4), None),
    ],
    ids=lambda value: value.name if isinstance(value, ExitRule) else str(value),
)
async def test_each_rule_leaves_at_its_cue_and_answers_what_was_probed(
    rule: ExitRule, steps: int | None
) -> None:
    state, _ = await think(Exit(rule))
    assert steps_before_exit(state) == steps
    assert state.text.strip() == STEPS[(steps or len(STEPS)) - 1].answer
    assert state.ended_by == (None if steps is None else f"exit({rule.name})")


async def test_a_probe_is_greedy_short_and_free_of_what_steers_the_stream() -> None:
    _, double = await think(Biased(), Exit(Deer()))
    probe = double.draws[1]
    assert (probe.temperature, probe.max_tokens, probe.stop) == (0.0, 20, ("\n",))
    assert (probe.logit_bias, probe.thinking_budget, probe.top_logprobs) == ((), None, 1)
    assert probe.begun == "<think>\nFirst, it is 5.\n\n</think>\n\n**Final answer:** "


async def test_probes_are_booked_and_the_doubt_is_not_resubmitted() -> None:
    state, double = await think(Exit(Deer()))
    stream, *probes, answer = double.draws
    assert [probe.max_tokens for probe in probes] == [20, 20]
    assert state.usage.completion == double.streamed.tokens
    assert double.streamed.aborted == 1
    assert answer.begun == "<think>\nFirst, it is 5.\n\nWait, it is 4.\n\n</think>"
    assert stream.begun == ""


async def test_after_the_most_probes_thinking_goes_on_unprobed() -> None:
    state, double = await think(Exit(Dynasor(3), SOON))
    assert state.ended_by is None
    assert [draw.max_tokens for draw in double.draws].count(20) == 2


async def test_a_stream_with_no_cue_is_left_alone() -> None:
    state, double = await think(Exit(Deer(0.0)), writer=scripted([ScriptedThought("It is 4.", "4")]))
    assert (state.text.strip(), len(double.draws)) == ("4", 1)


@pytest.mark.parametrize("answer", ["...", "okay, 4", "no wait", "hmm"])
async def test_dynasor_does_not_leave_on_an_answer_that_hedges(answer: str) -> None:
    state, _ = await think(
        Exit(Dynasor(1)), writer=scripted([ScriptedThought("So.", answer), ScriptedThought("Wait.", "4")])
    )
    assert state.ended_by is None


@pytest.mark.parametrize("answer", ["No.", "I know not", "button"])
async def test_dynasor_leaves_on_words_that_only_contain_a_hedge(answer: str) -> None:
    state, _ = await think(
        Exit(Dynasor(1)), writer=scripted([ScriptedThought("So.", answer), ScriptedThought("Wait.", "4")])
    )
    assert state.text.strip() == answer


async def test_a_server_without_log_probabilities_is_named_where_they_are_needed() -> None:
    reasoner = Reasoner(Silent(scripted(STEPS)), Exit(Deer()))
    with pytest.raises(ModelUnavailable, match="no log-probabilities"):
        await reasoner.think(ASK)
    state = await Reasoner(Silent(scripted(STEPS)), Exit(Dynasor(2))).think(ASK)
    assert steps_before_exit(state) == 4


@given(st.lists(st.integers(1, 9)), st.sampled_from(["\n", "\n\n"]))
def test_the_same_cues_are_found_however_the_stream_is_cut(cuts: list[int], end: str) -> None:
    thoughts = ["First.", "Wait, no.", "hmm", "So it is a hmm.", "Wait wait.", " Alternatively 5."]
    text = "".join(thought + end for thought in thoughts)
    starts = [text.index(thoughts[number]) for number in (1, 2, 4, 5)]
    state, spotter, found, at = (
        StreamState(BEGUN),
        Spotter(("wait", "hmm", "alternatively")),
        [],
        0,
    )
    for cut in [*cuts, len(text)]:
        state.hear(Piece(thought=text[at : at + cut]))
        at += cut
        found += spotter.see(state)
    assert [text[start:].lstrip() for start in found] == [text[start:].lstrip() for start in starts]


def test_a_restart_begins_the_search_for_cues_again() -> None:
    state, spotter = StreamState(BEGUN), Spotter(("wait",))
    for _ in range(2):
        state.hear(Piece(thought="So.\n\nWait"))
        assert spotter.see(state) == [len("So.\n\n")]
        assert spotter.see(state) == []
        state.restarts += 1
        state.begin("<think>")


@pytest.mark.parametrize(
    ("written", "right", "same"),
    [
        ("**4**", "4", True),
        ("\\boxed{4}.", "4", True),
        ("The answer is \\boxed{ 1,234 }", "1234", True),
        ("0.50", "1/2", True),
        (".5", "5", False),
        ("Paris.", "paris", True),
        ("4 apples", "4", False),
        ("", "", False),
    ],
)
def test_answers_are_compared_by_what_they_say(written: str, right: str, same: bool) -> None:
    assert same_answer(written, right) is same
    assert normalised(normalised(written)) == normalised(written)


# Calibration


def event(
    trace: object, safe: bool, mean: float = 0.9, least: float = 0.8, agreement: float = 0.0, cue: int = 0
) -> Forced:
    return Forced(str(trace), cue, mean, least, agreement, safe)


def forced(traces: int, seed: int = 0) -> list[Forced]:
    """Draw traces of three cues that are safe half of the time and look it."""
    draw = random.Random(seed)
    found = []
    for trace in range(traces):
        for cue in range(3):
            safe = draw.random() < 0.5
            mean = 1 - 10 ** -(draw.random() + 2 * safe)
            found.append(event(trace, safe, mean, mean**2, draw.choice((0, 1)) if safe else 0.0, cue))
    return found


probabilities = st.floats(0, 1)


@settings(max_examples=30)
@given(st.lists(st.tuples(probabilities, probabilities, st.booleans()), max_size=20), st.data())
def test_a_score_never_falls_when_a_feature_rises(
    seen: list[tuple[float, float, bool]], data: st.DataObject
) -> None:
    score = Score.fitted([event(i, safe, mean, least) for i, (mean, least, safe) in enumerate(seen)])
    low, high = sorted(data.draw(st.tuples(probabilities, probabilities)))
    for feature in ("mean", "least", "agreement"):
        rising = [score.of(event(0, True)._replace(**{feature: value})) for value in (low, high)]
        assert 0 <= rising[0] <= rising[1] <= 1


def test_fitting_finds_what_tells_safe_from_unsafe() -> None:
    score = Score.fitted(forced(200))
    assert score.mean + score.least > 0 and score.agreement > 0
    told = [event(i, safe, 0.9, 0.9, float(safe)) for i in range(50) for safe in (True, False)]
    only = Score.fitted(told)
    assert only.agreement > 0 and only.of(event(0, True, agreement=1.0)) > 0.9 > 0.1 > only.of(event(0, True))


def test_without_both_outcomes_or_any_signal_the_mean_probability_decides() -> None:
    assert Score.fitted([event(i, True) for i in range(20)]) == Score()
    assert Score.fitted([event(i, i % 2 == 0, 1 - i / 30) for i in range(0)]) == Score()
    assert Score.fitted([event(i, i < 10, i / 20) for i in range(20)]) == Score()


@given(st.integers(0, 40), st.floats(0, 1))
def test_parts_hold_whole_traces_and_every_event_once(traces: int, share: float) -> None:
    events = forced(traces)
    first, second = parted(events, share)
    assert sorted(first + second) == sorted(events)
    assert not {e.trace for e in first} & {e.trace for e in second}


def test_a_calibration_bounds_the_traces_that_exit_unsafely() -> None:
    """Over many calibrations the mean share is at most delta; one alone may stray."""
    shares = []
    for seed in range(40):
        made = ExitCalibration.of(forced(40, seed), "double", 0.2)
        new = [e for e in forced(60, 1000 + seed) if not e.safe]
        unsafe = {e.trace for e in new}
        exited = {e.trace for e in new if made.rule.exits(made.score.of(e))}
        shares.append(len(exited) / len(unsafe))
    mean = sum(shares) / len(shares)
    sigma = math.sqrt(sum((share - mean) ** 2 for share in shares) / len(shares)) / math.sqrt(len(shares))
    assert 0 < mean <= 0.2 + 3 * sigma


def test_the_score_is_fitted_only_where_traces_are_to_spare() -> None:
    few, many = (ExitCalibration.of(forced(traces), "double", 0.1) for traces in (12, 60))
    assert (few.score, few.fitted_on, few.traces) == (Score(), 0, 12)
    assert (many.fitted_on, many.traces) == (20, 40) and many.score != Score()
    assert 0 < many.kept <= 1


def test_too_few_unsafe_exits_are_refused_with_how_many_more() -> None:
    events = [event(i, i % 4 > 0) for i in range(20)]
    with pytest.raises(
        TooFewUnsafeExits, match=r"at least 9 traces .* 20 traces with cues had 5: 4 more .* about 16 more"
    ):
        ExitCalibration.of(events, "double", 0.1)
    with pytest.raises(TooFewUnsafeExits, match=r"delta 0\.167 or more"):
        ExitCalibration.of(events, "double", 0.1)
    assert ExitCalibration.of(events, "double", 0.167).rule.supported
    with pytest.raises(TooFewUnsafeExits, match="had 0: 9 more are needed"):
        ExitCalibration.of([event(0, True)], "double", 0.1)


def test_a_calibration_comes_back_from_its_file(tmp_path: Path) -> None:
    made = ExitCalibration.of(forced(60), "double", 0.1, probing=SOON)
    made.write(tmp_path / "exits.json")
    assert ExitCalibration.read(tmp_path / "exits.json") == made
    assert Conformal(tmp_path / "exits.json").probing == SOON


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"version": 2}'])
def test_a_file_that_is_no_calibration_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "exits.json").write_bytes(content)
    with pytest.raises(BadInput, match="calibrate exits"):
        Conformal(tmp_path / "exits.json")


def test_a_calibration_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        Conformal(tmp_path / "none.json")


async def test_a_calibration_is_refused_for_another_model_or_another_way_to_probe() -> None:
    made = ExitCalibration.of(forced(60), "thinking-double", 0.1)
    with pytest.raises(BadInput, match="leave `probing` out"):
        Exit(Conformal(made), SOON)
    with pytest.raises(BadInput, match="'another'"):
        await think(Exit(Conformal(replace(made, model="another"))))


async def test_exits_calibrated_on_collected_answers_keep_their_promise_and_save_tokens() -> None:
    writer = overthinker(lambda prompt: "42", lambda prompt, dice: str(dice % 40), error=0.5, rechecks=5)
    double = ThinkingDouble(writer)
    problems = [Problem(f"known {number}", "42") for number in range(90)]
    found = await collect_exits(lambda control: Reasoner(double, control), problems)
    assert {e.trace for e in found.forced} == {str(number) for number in range(90)}
    assert found.without_cue == 0 and found.usage.completion == double.streamed.tokens

    made = ExitCalibration.of(found.forced, double.name, 0.2)
    plainly, leaving = Reasoner(double), Reasoner(double, Exit(Conformal(made)))
    unsafe, before, after = 0, Usage(), Usage()
    for number in range(80):
        ask = Ask(f"new {number}", 0.6, 64, number)
        state = await leaving.think(ask)
        unsafe += state.ended_by is not None and state.text.strip() != "42"
        before, after = before + (await plainly.think(ask)).usage, after + state.usage
    assert unsafe / 80 <= made.rule.worst(0.999)
    assert after.completion < 0.6 * before.completion


async def test_problems_without_a_cue_are_counted() -> None:
    double = ThinkingDouble(scripted([ScriptedThought("It is 4.", "4")]))
    found = await collect_exits(lambda control: Reasoner(double, control), [Problem("2 + 2?", "4")] * 3)
    assert (found.forced, found.without_cue) == ([], 3)


async def test_what_was_collected_before_the_server_was_gone_is_kept() -> None:
    writer = overthinker(lambda prompt: "42", lambda prompt, dice: str(dice % 40), rechecks=3)
    problems = [Problem(f"known {number}", "42") for number in range(4)]
    kept: list[Forced] = []

    async with DoubleServer(ThinkingDouble(writer)) as server, OpenAIModel(server.url) as model:

        def keep(events: list[Forced]) -> None:
            kept.extend(events)
            if len(kept) == 6:
                server.fail(Fault("status", status=400, message="gone"), times=9)

        with pytest.raises(ModelUnavailable, match="400: gone"):
            await collect_exits(lambda control: Reasoner(model, control), problems, at_once=1, keep=keep)
    assert [(event.trace, event.cue) for event in kept] == [
        ("0", 0),
        ("0", 1),
        ("0", 2),
        ("1", 0),
        ("1", 1),
        ("1", 2),
    ]


async def test_a_server_without_log_probabilities_is_noticed_at_the_first_cue() -> None:
    double = Silent(scripted(STEPS))
    with pytest.raises(ModelUnavailable, match="no log-probabilities"):
        await collect_exits(lambda control: Reasoner(double, control), [Problem("2 + 2?", "4")])
    assert len(double.draws) == 2


def test_problems_are_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_text(
        '{"prompt": "2 + 2?", "answer": 4}\n\n'
        '{"prompt": [{"role": "user", "content": "3 + 3?"}], "answer": "6", "more": 1}\n'
    )
    assert read_problems(path) == [Problem("2 + 2?", "4"), Problem((Message("user", "3 + 3?"),), "6")]


@pytest.mark.parametrize(
    ("content", "why"),
    [("", "is empty"), ("{}", "line 1 .* prompt"), ('{"prompt": "p", "answer": "a"}\nnonsense', "line 2")],
)
def test_problems_that_cannot_be_read_are_refused_by_their_line(
    tmp_path: Path, content: str, why: str
) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_text(content)
    with pytest.raises(BadInput, match=why):
        read_problems(path)
    with pytest.raises(BadInput, match="cannot be read"):
        read_problems(tmp_path / "none.jsonl")


def test_forced_exits_come_back_from_their_file(tmp_path: Path) -> None:
    write_forced(tmp_path / "events.jsonl", forced(5))
    assert read_forced(tmp_path / "events.jsonl") == forced(5)

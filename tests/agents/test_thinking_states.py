"""What is decided by hidden states: exits with the promise of those by answers, and vectors that are learned where thoughts end.

By doubles whose states are known; `tests/models/test_local_model.py` has a real model.
"""

import random
from pathlib import Path

import pytest

from surefoot.agents.reasoning import (
    Conformal,
    Cues,
    Direction,
    Exit,
    ProbeExit,
    Reasoner,
    StatesAt,
    SteeringVector,
    Thought,
    ThoughtStates,
    TooFewUnsafeExits,
    best_steering,
)
from surefoot.agents.reasoning.control import Control
from surefoot.agents.reasoning.exit_calibration import ExitCalibration
from surefoot.agents.reasoning.exit_labels import Problem, collect_exits, read_forced, write_forced
from surefoot.agents.reasoning.exit_scores import CuePlace, Forced, Score, StateScore
from surefoot.errors import BadInput
from surefoot.models import Ask, Draw
from surefoot.models.doubles import InspectableDouble, ScriptedThought, ThinkingDouble, overthinker, scripted
from surefoot.models.local import Trial

STEPS = [
    ScriptedThought("First, it is 5.", "5"),
    ScriptedThought("Wait, it is 4.", "4"),
    ScriptedThought("So it is.", "4"),
    ScriptedThought("Hmm, is it?", "4"),
]
ASK = Ask("2 + 2?", 0.6, 64, 1)


def length(layer: int, raw: str) -> list[float]:
    """A state that says where it is."""
    return [float(layer), float(len(raw))]


@pytest.mark.parametrize(
    ("place", "at"),
    [
        (
            "before",
            ["<think>\nFirst, it is 5.\n\n", "<think>\nFirst, it is 5.\n\nWait, it is 4.\n\nSo it is.\n\n"],
        ),
        (
            "cue",
            [
                "<think>\nFirst, it is 5.\n\nWait",
                "<think>\nFirst, it is 5.\n\nWait, it is 4.\n\nSo it is.\n\nHmm",
            ],
        ),
        (
            "close",
            [
                "<think>\nFirst, it is 5.\n\n</think>\n\n**Final answer:** ",
                "<think>\nFirst, it is 5.\n\nWait, it is 4.\n\nSo it is.\n\n</think>\n\n**Final answer:** ",
            ],
        ),
    ],
)
async def test_states_are_those_before_a_cue_at_its_last_token_or_where_the_answer_begins(
    place: CuePlace, at: list[str]
) -> None:
    double = InspectableDouble(scripted(STEPS), length, depth=2)
    problems = [Problem(ASK.prompt, "4")]
    found = await collect_exits(
        lambda control: Reasoner(double, control), problems, states=StatesAt(place, (1, 2))
    )
    expected = [float(len(str(ASK.prompt) + raw)) for raw in at]
    assert [event.states for event in found.forced] == [(1.0, there, 2.0, there) for there in expected]


def events(count: int, seed: int = 0, *, telling: float = 2.0) -> list[Forced]:
    """Traces of four exits, half of them unsafe; the second number of a state tells, the others are noise."""
    rng = random.Random(seed)
    made = []
    for trace in range(count):
        safe = rng.random() < 0.5
        for cue in range(4):
            state = tuple(rng.gauss(telling * safe * (number == 1), 1) for number in range(8))
            made.append(Forced(str(trace), cue, 0.9, 0.9, 0.0, safe, state))
    return made


AT = StatesAt("before", (3,))


def calibrated(forced: list[Forced], delta: float = 0.1, at: StatesAt = AT) -> ExitCalibration:
    return ExitCalibration.of(forced, "double", delta, states=at, digest="d")


def test_a_fit_weighs_what_tells() -> None:
    score = StateScore.fitted(events(200), AT, "d")
    weights = [abs(weight) for weight in score.weights]
    assert max(weights) == weights[1] > 4 * sorted(weights)[-2]


def test_a_fit_finds_the_least_of_what_it_descends() -> None:
    """At the minimum of a ridge regression no slope is left."""
    forced = events(100)
    score = StateScore.fitted(forced, AT, "d")
    off = [score.of(event) - event.safe for event in forced]
    assert abs(sum(off)) / len(off) < 1e-3
    for number, weight in enumerate(score.weights):
        column = [(event.states[number] - score.centre[number]) / score.spread[number] for event in forced]
        slope = sum(o * x for o, x in zip(off, column, strict=True)) / len(off) + 0.05 * weight
        assert abs(slope) < 1e-3


def test_exits_by_states_keep_their_promise_on_other_traces() -> None:
    """Of traces with an unsafe cue at most a share delta ever exits at one, on average over calibrations."""
    shares, kept = [], []
    for seed in range(20):
        found = calibrated(events(300, seed), 0.2)
        new = events(200, 1000 + seed)
        unsafe = {event.trace for event in new if not event.safe}
        left = {e.trace for e in new if not e.safe and found.rule.exits(found.score.of(e))}
        shares.append(len(left) / len(unsafe))
        kept.append(found.kept)
    assert sum(shares) / len(shares) < 0.2 + 0.03
    assert sum(kept) / len(kept) > 0.5


def test_states_that_tell_nothing_make_few_exits_and_no_broken_promise() -> None:
    found = calibrated(events(300, 1, telling=0.0), 0.1)
    new = events(300, 2, telling=0.0)
    left = {e.trace for e in new if not e.safe and found.rule.exits(found.score.of(e))}
    assert len(left) / len({event.trace for event in new if not event.safe}) < 0.2


def test_with_the_answer_its_features_count_too() -> None:
    forced = [event._replace(mean=0.999 if event.safe else 0.5) for event in events(200, telling=0.0)]
    both = StateScore.fitted(forced, StatesAt("before", (3,), answer=True), "d")
    assert len(both.weights) == 8 + 3
    assert both.of(forced[0]._replace(mean=0.999)) > both.of(forced[0]._replace(mean=0.5)) + 0.3


def test_a_calibration_comes_back_from_its_file_as_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "exits.json"
    for found in (calibrated(events(100)), ExitCalibration.of(events(100), "double", 0.1)):
        found.write(path)
        assert ExitCalibration.read(path) == found


def test_too_few_unsafe_exits_are_said(tmp_path: Path) -> None:
    with pytest.raises(TooFewUnsafeExits):
        calibrated(events(12), 0.01)
    with pytest.raises(BadInput, match="safe and unsafe exits with their states"):
        calibrated([event._replace(states=()) for event in events(40)])


def test_events_are_written_with_their_states_and_without(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for forced in (events(2), [event._replace(states=()) for event in events(2)]):
        write_forced(path, forced)
        assert read_forced(path) == forced
    assert "states" not in path.read_text()


def knows(layer: int, raw: str) -> list[float]:
    """A state that tells by its last number whether what is thought last is right, where anything is."""
    stated = raw.rpartition("it is ")[2].partition(".")[0]
    return [1.0, float(len(raw) % 7), 5.0 if stated == "4" else -5.0]


def thinker() -> InspectableDouble:
    writer = overthinker(lambda prompt: "4", lambda prompt, which: str(5 + which % 5), error=0.4, rechecks=6)
    return InspectableDouble(writer, knows, depth=3)


async def calibrated_on(double: InspectableDouble, at: StatesAt) -> ExitCalibration:
    problems = [Problem(f"2 + 2? ({number})", "4") for number in range(80)]
    collected = await collect_exits(lambda control: Reasoner(double, control), problems, states=at)
    digest = await double.digest()
    return ExitCalibration.of(collected.forced, double.name, 0.1, states=at, digest=digest)


@pytest.mark.parametrize("place", ["before", "cue", "close"])
@pytest.mark.parametrize("answer", [False, True])
async def test_an_exit_by_states_leaves_where_they_tell_that_it_is_right(
    place: CuePlace, answer: bool
) -> None:
    double = thinker()
    rule = ProbeExit(await calibrated_on(double, StatesAt(place, (2,), answer)))
    double.draws.clear()
    states = [await Reasoner(double, Exit(rule)).think(ASK._replace(seed=900 + n)) for n in range(30)]
    left = [state for state in states if state.ended_by == "exit(probe 0.1)"]
    assert len(left) > 20
    assert all(state.thought.rpartition("it is ")[2].startswith("4.") for state in left)
    probes = [draw.max_tokens for draw in double.draws if draw.temperature == 0]
    # Without the answer the states before a cue and at it cost nothing, those at the close one token.
    assert set(probes) == ({20} if answer else {1} if place == "close" else set())


async def test_a_rule_for_states_asks_for_a_model_that_shows_them_and_for_its_weights() -> None:
    double = thinker()
    found = await calibrated_on(double, AT)
    other = InspectableDouble(scripted(STEPS), knows, depth=3)
    assert other.name == double.name
    blind = ThinkingDouble(scripted(STEPS), name=double.name)
    with pytest.raises(BadInput, match="does not show"):
        await Reasoner(blind, Exit(ProbeExit(found))).think(ASK)
    changed = ExitCalibration(
        found.model,
        found.rule,
        StateScore(AT, "another", (0.0,) * 3, (1.0,) * 3, (0.0,) * 3, 0.0),
        found.probing,
        1,
        1,
        1.0,
    )
    with pytest.raises(BadInput, match="of other weights"):
        await Reasoner(other, Exit(Conformal(changed))).think(ASK)


def test_a_calibration_without_states_is_for_conformal() -> None:
    found = ExitCalibration.of(events(100), "double", 0.1)
    assert isinstance(found.score, Score)
    with pytest.raises(BadInput, match="use Conformal"):
        ProbeExit(found)


@pytest.mark.parametrize(
    ("place", "layers", "says"),
    [("after", (1,), "before a cue"), ("before", (), "one or more layers"), ("cue", (0,), "from 1")],
)
def test_states_that_there_are_not_are_refused(place: CuePlace, layers: tuple[int, ...], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        StatesAt(place, layers)


def tells_kind(layer: int, raw: str) -> list[float]:
    """A state that knows, where a thought has ended, whether the script looks back next."""
    after = next((step.thought for step in STEPS if step.thought not in raw), "")
    back = after.startswith(("Wait", "Hmm"))
    return [10.0 * layer, 3.0 if back else 1.0]


async def learned(**more: object) -> ThoughtStates:
    control = ThoughtStates((1, 2), **more)  # type: ignore[arg-type]
    double = InspectableDouble(scripted(STEPS), tells_kind, depth=2)
    await Reasoner(double, control).think(ASK)
    return control


async def test_a_direction_is_the_mean_before_going_on_less_that_before_looking_back() -> None:
    control = await learned()
    # The first thought follows the opening tag, and no end of a thought.
    assert dict(control.counts) == {"execution": 1, "other": 2}
    found = control.direction(2)
    assert found.values == (0.0, -2.0) and found.norm == 2.0
    assert (found.layer, found.ends, found.execution, found.other) == (2, "\n\n", 1, 2)


async def test_kinds_may_be_told_otherwise_or_left_out() -> None:
    def kind(thought: Thought) -> None:
        return None

    control = await learned(kind=kind)
    assert not control.counts
    with pytest.raises(BadInput, match="0 ends before thoughts that go on"):
        control.direction(1)


async def test_a_direction_comes_back_from_its_file_and_has_a_control_of_the_same_length(
    tmp_path: Path,
) -> None:
    found = (await learned()).direction(1)
    found.write(tmp_path / "direction.json")
    assert Direction.read(tmp_path / "direction.json") == found
    control = found.random(7)
    assert control.norm == pytest.approx(found.norm) and control.values != found.values
    assert control == found.random(7) != found.random(8)
    (tmp_path / "direction.json").write_text("{}")
    with pytest.raises(BadInput, match="is no direction"):
        Direction.read(tmp_path / "direction.json")


async def test_a_vector_is_asked_for_with_its_strength_and_of_the_right_weights_only() -> None:
    found = (await learned()).direction(1)
    double = InspectableDouble(scripted(STEPS), tells_kind, depth=2)
    state = await Reasoner(double, SteeringVector(found, 0.5)).think(ASK)
    added = state.draw.added
    assert added is not None and (added.layer, added.values, added.ends) == (1, (0.0, -1.0), "\n\n")
    for other in (
        ThinkingDouble(scripted(STEPS)),
        InspectableDouble(scripted(STEPS), length, depth=2, name="other"),
    ):
        with pytest.raises(BadInput, match="learn it anew"):
            await Reasoner(other, SteeringVector(found, 0.5)).think(ASK)


async def test_the_strength_is_chosen_that_makes_texts_shortest_and_loses_nothing() -> None:
    found = (await learned()).direction(1)

    async def evaluate(vector: SteeringVector | None) -> Trial:
        strength = vector.strength if vector else 0.0
        return Trial(0.9 if strength < 0.8 else 0.1, 150 - 50 * strength, 0.0)

    best, trials = await best_steering([found], [0.25, 0.5, 1.0], evaluate)
    assert best is not None and best.strength == 0.5
    assert [trial.tokens for _, trial in trials] == [150, 137.5, 125, 100]
    none, _ = await best_steering([found], [1.0, 2.0], evaluate)
    assert none is None


def test_controls_are_told_apart_by_layer_and_strength() -> None:
    found = Direction("m", "d", 3, (1.0,), "\n", 1, 1, 1.0)
    controls: list[Control] = [SteeringVector(found, 0.5), SteeringVector(found.random(), -1)]
    assert [control.name for control in controls] == ["vector(0.5 after layer 3)", "vector(-1 after layer 3)"]
    with pytest.raises(BadInput, match="finite"):
        SteeringVector(found, float("nan"))


def test_cues_without_a_separator_have_no_ends() -> None:
    with pytest.raises(BadInput, match="what separates thoughts"):
        ThoughtStates((1,), Cues(separator=""))


def test_a_draw_shows_no_numbers() -> None:
    found = Direction("m", "d", 3, (1.25,), "\n", 1, 1, 1.0)
    draw = Draw(prompt="p", temperature=0, max_tokens=1, seed=1, added=SteeringVector(found, 1.0)._added)
    assert "1.25" not in repr(draw) and "after layer 3" in repr(draw)

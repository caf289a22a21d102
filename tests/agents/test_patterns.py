"""Patterns of reasoning: what stands in which prompt, what is refused, and what makes it again."""

import pickle
from typing import Any, NamedTuple

import pytest

from surefoot import BadInput, Columns, Message, Sorting, Task, Towers
from surefoot.agents.actions import ActionChain
from surefoot.agents.handbook import Behaviour, WithHandbook
from surefoot.agents.patterns import PATTERNS, WithPattern
from surefoot.agents.patterns.instructions import HEAD, instruction
from surefoot.agents.perception import Looking
from surefoot.agents.planner import Goal
from surefoot.agents.preferences import WithPreference
from surefoot.agents.tasks.around import innermost, outer_layer, surrounded
from surefoot.agents.tasks.catalogue import made, task_named
from surefoot.agents.tasks.guarded import guarded
from surefoot.cli.options import by_stage
from surefoot.tools.drawing import draw_bars
from surefoot.tools.pictures.pixels import encoded

PROBLEM = "What is 734 * 902?"
LIKES = "Prefers short answers in plain words."


def system(prompt: Any) -> str:
    return str(prompt[0].content)


# What stands in a prompt


@pytest.mark.parametrize("name", PATTERNS)
def test_an_instruction_is_a_short_block_that_leaves_the_form_of_the_answer_alone(name: str) -> None:
    block = instruction(name)
    assert block.startswith(HEAD) and block.isascii() and block == block.strip()
    assert len(block) < 500 and len(block.splitlines()) == 2


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize(
    "task", [Sorting((3, 1, 2)), Towers(3, "verbose"), Goal(PROBLEM)], ids=lambda task: task.name
)
def test_one_pattern_is_in_front_of_every_prompt_and_the_rest_is_the_tasks(
    task: Task[Any, Any], name: str
) -> None:
    wrapped, state = WithPattern(task, name), task.start()
    for view in range(task.views):
        (first, *rest), (own, *others) = wrapped.ask(state, view), task.ask(state, view)
        assert first == Message("system", f"{instruction(name)}\n\n{own.content}")  # type: ignore[union-attr]
        assert rest == others
    for member in ("views", "flags", "sampling", "state_codec", "answer_codec"):
        assert getattr(wrapped, member) == getattr(task, member)


def stages(goal: Goal) -> dict[str, Any]:
    """A state of every stage."""
    split = '{"parts": ["What is 7?", "What is 9?"], "combine": "ask"}'
    start = goal.start()
    proposed = start
    found = {"propose": start}
    for text in (split, '{"parts": ["What is 1?", "What is 2?"], "combine": "ask"}', '{"parts": []}'):
        proposed = goal.advance(proposed, goal.read(text, proposed))
    found[proposed.stage] = proposed
    parts = goal.advance(proposed, goal.read("choice = 1", proposed))
    while parts.stage != "compose":
        parts = goal.advance(
            parts, goal.read('{"parts": []}' if parts.stage == "propose" else "answer = 7", parts)
        )
        found.setdefault(parts.stage, parts)
    assert found.keys() == {"propose", "choose", "solve", "compose"}
    return found


def test_patterns_by_stage_are_in_front_of_the_prompts_of_these_stages_alone() -> None:
    goal = Goal(PROBLEM)
    wrapped = WithPattern(goal, {"solve": "verification", "compose": "table"})
    for stage, state in stages(goal).items():
        own, asked = system(goal.ask(state)), system(wrapped.ask(state))
        name = {"solve": "verification", "compose": "table"}.get(stage)
        assert asked == (own if name is None else f"{instruction(name)}\n\n{own}"), stage


def test_a_pattern_without_a_stage_is_for_all_other_stages() -> None:
    goal = Goal(PROBLEM)
    wrapped = WithPattern(goal, {"": "chain", "solve": "verification"})
    for stage, state in stages(goal).items():
        name = "verification" if stage == "solve" else "chain"
        assert system(wrapped.ask(state)).startswith(instruction(name)), stage


def test_a_stage_that_is_a_field_counts_like_one_that_is_worked_out() -> None:
    class At(NamedTuple):
        stage: str

    class Staged(Columns):
        def start(self) -> Any:
            return At("first")

        def ask(self, state: Any, view: int = 0) -> str:
            return state.stage

    wrapped = WithPattern(Staged(("1", "2")), {"first": "table"})
    assert wrapped.ask(At("first")) == f"{instruction('table')}\n\nfirst"  # type: ignore[arg-type]
    assert wrapped.ask(At("second")) == "second"  # type: ignore[arg-type]


def test_whoever_looks_at_pictures_is_told_where_to_look_and_nothing_else() -> None:
    task = Looking("Which bar is the largest?", (encoded(draw_bars((3, 5)).image).url,))
    wrapped = WithPattern(task, "table")
    assert system(wrapped.ask(task.start())).startswith(instruction("table"))
    asks = task.read('{"ask": [{"picture": 1, "question": "What is written below each bar?"}]}', task.start())
    looks = task.advance(task.start(), asks)
    assert all(wrapped.ask(looks, view) == task.ask(looks, view) for view in range(task.views))


def test_a_context_is_fitted_with_room_for_the_longest_of_the_patterns() -> None:
    class Fitted(Goal):
        room = 0

        def fit(self, context: int) -> None:
            self.room = context

    task = Fitted(PROBLEM)
    WithPattern(task, {"propose": "chain", "solve": "verification"}).fit(4096)  # type: ignore[attr-defined]
    longest = max(len(instruction(name)) for name in ("chain", "verification"))
    assert 4096 - longest < task.room < 4096 - longest / 4


class Crowded(NamedTuple):
    """A state whose stage is no name."""

    stage: list[str]


class Staged(Columns):
    """A task that calls something else its stage."""

    def start(self) -> Any:
        return Crowded(["left", "right"])

    def ask(self, state: Any, view: int = 0) -> str:
        return f"Who is on {state.stage}?"


def test_what_a_task_of_ones_own_calls_its_stage_may_be_anything() -> None:
    task = Staged((12, 34))
    for wrapped in (
        WithPattern(task, "chain"),
        WithPreference(task, LIKES),
        WithPattern(task, {"": "chain", "left": "table"}),
    ):
        assert str(wrapped.ask(task.start())).endswith("\n\nWho is on ['left', 'right']?")


# What is refused


@pytest.mark.parametrize(
    ("task", "pattern", "why"),
    [
        (Sorting((2, 1)), "tabel", "a pattern is one of chain, plan-and-solve, program, skeleton, table, verification, not 'tabel'"),
        (Sorting((2, 1)), "", "a pattern is one of"),
        (Sorting((2, 1)), {"solve": "table"}, "task 'sorting' has no stages: give one pattern for all of its steps"),
        (Goal(PROBLEM), {"sovle": "table"}, "task 'goal' has the stages propose, choose, solve, compose, over, and not 'sovle'"),
        (Goal(PROBLEM), {"solve": "tabel"}, "a pattern is one of"),
        (ActionChain(PROBLEM), {"solve": "table"}, "task 'action-chain' has the stages continue, reflect"),
        (Goal(PROBLEM), {}, "patterns by stage are names"),
        (Goal(PROBLEM), {"solve": 5}, "patterns by stage are names"),
        (Goal(PROBLEM), 5, "patterns by stage are names"),
        (Goal(PROBLEM), (("solve",),), "patterns by stage are names"),
        (Goal(PROBLEM), (("solve", "chain"), ("solve", "table")), "a stage has one pattern: give each once"),
        (Goal(PROBLEM), "x" * 10_000, "not 'x{100}'$"),
        (Goal(PROBLEM), {"x" * 10_000: "table"}, "not 'x{100}'$"),
    ],
)  # fmt: skip
def test_what_is_no_pattern_or_no_stage_is_refused(task: Task[Any, Any], pattern: Any, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        WithPattern(task, pattern)


def test_patterns_are_typed_by_stage() -> None:
    assert by_stage(["table"]) == {"": "table"}
    assert by_stage(["table", "solve=verification"]) == {"": "table", "solve": "verification"}
    for twice in (["table", "chain"], ["solve=table", "solve=chain"]):
        with pytest.raises(BadInput, match="one --pattern for all stages, and one for each"):
            by_stage(twice)


# The same again


@pytest.mark.parametrize(
    "wrapped",
    [
        WithPattern(Sorting((3, 1, 2)), "table"),
        WithPattern(Goal(PROBLEM), {"solve": "verification", "": "chain"}),
        WithPattern(WithPreference(WithHandbook(Sorting((3, 1, 2)), []), LIKES), "skeleton"),
    ],
    ids=["one", "by stage", "around others"],
)
def test_its_spec_makes_it_again(wrapped: WithPattern[Any, Any]) -> None:
    again: list[Any] = [
        made(task_named("pattern"), guarded(wrapped).spec()),
        pickle.loads(pickle.dumps(wrapped)),
    ]
    for each in again:
        assert each.spec() == wrapped.spec()
        assert each.ask(each.start()) == wrapped.ask(wrapped.start())


class Own(Goal):
    """A task that no name leads to."""

    name = "own"


BEHAVIOUR = Behaviour(name="behavior_a", instruction="Check the sum.", task="own")


def test_all_that_is_around_a_task_is_put_around_its_class_and_around_itself() -> None:
    whole = WithPattern(WithPreference(WithHandbook(Own(PROBLEM), [BEHAVIOUR]), LIKES), {"solve": "table"})
    assert innermost(whole) is whole.task.task.task  # type: ignore[attr-defined]
    again = made(surrounded(Own, whole.name, whole.spec()), whole.spec())
    instance = surrounded(Own(PROBLEM), whole.name, whole.spec())
    for each in (again, instance, surrounded(whole, whole.name, whole.spec())):
        assert each.spec() == whole.spec() and isinstance(innermost(each), Own)
        assert each.ask(each.start()) == whole.ask(whole.start())


def test_what_only_looks_like_it_is_around_nothing() -> None:
    for name, spec in (
        ("sorting", {"task": "goal", "arguments": ()}),
        ("nowhere", {"task": "goal", "arguments": ()}),
        ("pattern", {"task": "goal"}),
        ("pattern", {"task": "goal", "arguments": 5}),
        ("pattern", {"task": "goal", "arguments": (5,)}),
    ):
        assert outer_layer(name, spec) is None
        assert surrounded(Own, name, spec) is Own

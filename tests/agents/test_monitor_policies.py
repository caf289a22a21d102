"""What is done about readings, and a real LangGraph agent that needs it."""

import json
import operator
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Any, NotRequired, TypedDict, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphRecursionError
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from surefoot.agents.monitor.live import MOST
from surefoot.agents.monitor.policies import (
    AT_EASE,
    LADDER,
    NUDGES,
    CutBudget,
    ForceToolCall,
    Intervention,
    Nudge,
    Policy,
    PolicyDecision,
    RestartTurn,
    Stop,
)
from surefoot.agents.monitor.signals import Pattern, Signal, SignalReading
from surefoot.errors import BadInput
from surefoot.orchestration.monitoring import FREE, Monitor, monitor_node

PATTERNS: tuple[Pattern, ...] = get_args(Pattern)


def reading(number: int = 1, **levels: float) -> SignalReading:
    """A reading with these levels, 0 elsewhere."""
    signals = [Signal(pattern, levels.get(pattern, 0.0), 0.0, ()) for pattern in PATTERNS]
    return SignalReading(number, tuple(signals))  # type: ignore[arg-type]


def decided(
    policy: Policy, levels: Sequence[float], pattern: str = "analysis_paralysis"
) -> list[PolicyDecision]:
    """The decisions of a run with these levels of one pattern."""
    stance, found = AT_EASE, []
    for number, level in enumerate(levels, 1):
        found.append(policy.decide(reading(number, **{pattern: level}), stance))
        stance = found[-1].stance
    return found


def acts(policy: Policy, levels: Sequence[float], pattern: str = "analysis_paralysis") -> list[str]:
    """What was done after each reading, by its first letter; a dot for nothing."""
    return [type(one.act).__name__[0] if one.act else "." for one in decided(policy, levels, pattern=pattern)]


# --- the ladder ---


def test_a_level_that_stays_high_is_met_by_one_rung_after_the_other() -> None:
    assert acts(Policy(), [8] * 14) == list("N..C..F..R..S.")
    assert [type(rung) for rung in LADDER] == [Nudge, CutBudget, ForceToolCall, RestartTurn, Stop]


def test_below_the_threshold_nothing_is_done() -> None:
    assert set(acts(Policy(act_at=6), [5.9] * 20)) == {"."}


def test_a_level_that_is_falling_is_left_to_fall() -> None:
    assert acts(Policy(patience=0), [10, 9, 8, 7, 6, 5]) == list("N.....")
    assert acts(Policy(patience=0), [10, 9, 8, 9]) == list("N..C")


def test_a_level_that_hovers_around_the_threshold_fires_no_more_often_than_patience_allows() -> None:
    assert acts(Policy(ladder=(Nudge(),), patience=4), [6.1, 5.9] * 7) == list("N.....N.....N.")


def test_a_second_offence_soon_after_is_met_by_the_next_rung_a_late_one_by_the_first() -> None:
    policy = Policy(forgive=4)
    assert acts(policy, [8, 0, 0, 0, 8]) == list("N...C")
    assert acts(policy, [8, 0, 0, 0, 0, 8]) == list("N....N")


def test_an_end_declared_too_early_is_acted_on_whatever_patience_says() -> None:
    assert acts(Policy(), [10, 10, 10], "premature_disengagement") == list("NCF")


def test_the_last_rung_is_repeated() -> None:
    assert acts(Policy(ladder=(Nudge(), Stop()), patience=0), [9] * 4) == list("NSSS")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_agent_is_told_about_the_pattern_that_was_seen(pattern: Pattern) -> None:
    assert Policy().decide(reading(**{pattern: 9.0})).said == NUDGES[pattern]
    assert Policy(ladder=(Nudge("Go on."),)).decide(reading(**{pattern: 9.0})).said == "Go on."
    assert pattern in Policy(ladder=(Stop(),)).decide(reading(**{pattern: 9.0})).said


@pytest.mark.parametrize(
    "make",
    [
        lambda: Policy(ladder=()),
        lambda: Policy(act_at=3, calm_at=3),
        lambda: Policy(act_at=11),
        lambda: Policy(patience=-1),
        lambda: Policy(forgive=0),
        lambda: CutBudget(1.0),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(BadInput):
        make()


@given(st.lists(st.floats(0, 10), max_size=60), st.integers(0, 4), st.integers(1, 6))
def test_between_two_interventions_lies_at_least_the_patience(
    levels: list[float], patience: int, forgive: int
) -> None:
    policy = Policy(patience=patience, forgive=forgive)
    found = decided(policy, levels)
    fired = [number for number, decision in enumerate(found) if decision.act]
    assert all(later - earlier > patience for earlier, later in pairwise(fired))
    assert all(levels[number] >= policy.act_at for number in fired)
    rungs = [LADDER.index(found[number].act) for number in fired]  # type: ignore[arg-type]
    assert all(later in (0, min(earlier + 1, 4)) for earlier, later in pairwise(rungs))


# --- in a graph ---


class State(MessagesState):
    monitor: Monitor


@tool
def ls() -> str:
    """List the folder."""
    return "a.py"


@tool
def edit(text: str) -> str:
    """Change the file."""
    return "changed"


@tool
def check() -> str:
    """Run the tests."""
    return "Traceback (most recent call last): broken"


def call(name: str, number: int, **arguments: str) -> dict[str, Any]:
    return {"name": name, "args": arguments, "id": f"{name}-{number}", "type": "tool_call"}


def say(text: str, *calls: dict[str, Any]) -> AIMessage:
    return AIMessage(text, tool_calls=list(calls))


Agent = Callable[[State], dict[str, Any]]


def plain(agent: Agent, endless: bool = False) -> Any:
    """The usual agent graph; `endless`: a turn without a tool call is not the end of it."""
    graph = StateGraph(State)
    graph.add_node("agent", agent)
    graph.add_node("tools", ToolNode([ls, edit, check]))
    graph.add_edge(START, "agent")
    graph.add_conditional_edges(
        "agent", tools_condition, {"tools": "tools", END: "agent" if endless else END}
    )
    graph.add_edge("tools", "agent")
    return graph.compile()


def monitored(agent: Agent, policy: Policy | None = None, endless: bool = False, **compiled: Any) -> Any:
    """The same graph with the monitor in it."""
    graph = StateGraph(State)
    graph.add_node("agent", agent)
    graph.add_node("tools", ToolNode([ls, edit, check]))
    node = monitor_node(policy=policy, done=lambda _: False) if endless else monitor_node(policy=policy)
    graph.add_node("monitor", node)
    graph.add_edge(START, "agent")
    graph.add_conditional_edges("agent", tools_condition, {"tools": "tools", END: "monitor"})
    graph.add_edge("tools", "monitor")
    return graph.compile(**compiled)


TASK: dict[str, Any] = {"messages": [HumanMessage("Make it work.")]}


def nudges(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    return [message for message in messages[1:] if isinstance(message, HumanMessage)]


def looping(state: State) -> dict[str, Any]:
    """Lists the same folder for ever, whatever it is told."""
    return {"messages": [say("Let me look again.", call("ls", len(state["messages"])))]}


def pondering(state: State) -> dict[str, Any]:
    """Thinks without acting until it has to call a tool, then ends its work in order."""
    said = state["messages"]
    if any(isinstance(message, ToolMessage) for message in said):
        return {"messages": [say("It works.", call("ls", len(said)))]}
    if state.get("monitor", FREE)["tool_choice"] == "required":
        return {"messages": [say("Very well.", call("ls", 0))]}
    return {"messages": [say(f"On the other hand, theory {len(said)}. " + "If so, then not. " * 300)]}


def hasty(state: State) -> dict[str, Any]:
    """Edits and declares the end; looks only when it is told to."""
    said = state["messages"]
    match said[-1]:
        case HumanMessage() if len(said) == 1:
            return {"messages": [say("I know it.", call("edit", 0, text="x"))]}
        case HumanMessage():
            return {"messages": [say("Fine, I look.", call("ls", 1))]}
        case _:
            return {"messages": [say("Done, this must be right.")]}


def test_an_agent_in_a_loop_runs_for_ever_alone_and_is_stopped_with_the_policy() -> None:
    with pytest.raises(GraphRecursionError):
        plain(looping).invoke(TASK, {"recursion_limit": 100})
    ended = monitored(looping).invoke(TASK, {"recursion_limit": 100})
    assert "loops" in ended["monitor"]["stopped"]
    assert [message.content for message in nudges(ended["messages"])] == [NUDGES["loops"]] * 4
    assert ended["monitor"]["acts"] == len(LADDER)
    assert ended["monitor"]["thinking_share"] == 0.5


def test_an_agent_that_thinks_instead_of_acting_acts_once_it_is_made_to() -> None:
    with pytest.raises(GraphRecursionError):
        plain(pondering, endless=True).invoke(TASK, {"recursion_limit": 60})
    graph = monitored(pondering, Policy(ladder=(Nudge(), ForceToolCall())), endless=True)
    acted = False
    for state in graph.stream(TASK, {"recursion_limit": 60}, stream_mode="values"):
        if acted := isinstance(state["messages"][-1], ToolMessage):
            break
    assert acted
    assert state["monitor"]["tool_choice"] == "required"


def test_an_end_that_nothing_was_observed_for_is_sent_back_to_look() -> None:
    alone = plain(hasty).invoke(TASK)["messages"]
    assert [message.name for message in alone if isinstance(message, ToolMessage)] == ["edit"]
    ended = monitored(hasty).invoke(TASK)
    assert [message.name for message in ended["messages"] if isinstance(message, ToolMessage)] == [
        "edit",
        "ls",
    ]
    assert [message.content for message in nudges(ended["messages"])] == [NUDGES["premature_disengagement"]]
    assert ended["monitor"]["stopped"] is None
    assert ended["messages"][-1].content == "Done, this must be right."


def test_an_agent_that_does_well_is_left_alone() -> None:
    def careful(state: State) -> dict[str, Any]:
        done = len(state["messages"]) > 4
        return {"messages": [say("It lists.") if done else say("", call("ls", len(state["messages"])))]}

    ended = monitored(careful).invoke(TASK)
    assert [message.content for message in ended["messages"]] == [
        message.content for message in plain(careful).invoke(TASK)["messages"]
    ]
    assert ended["monitor"]["acts"] == 0


def test_a_batch_after_a_failure_is_pointed_out_and_the_run_goes_on() -> None:
    def rogue(state: State) -> dict[str, Any]:
        said = state["messages"]
        number = len(said)
        if nudges(said):
            return {
                "messages": [say("Gave up checking.", call("ls", number)) if number < 8 else say("Over.")]
            }
        if number == 1:
            return {"messages": [say("", call("check", number))]}
        return {"messages": [say("", call("edit", number, text="y"), call("check", number))]}

    ended = monitored(rogue).invoke(TASK)
    assert NUDGES["rogue_actions"] in [message.content for message in nudges(ended["messages"])]
    for place, message in enumerate(ended["messages"]):
        if isinstance(message, AIMessage) and message.tool_calls:
            answers = ended["messages"][place + 1 : place + 1 + len(message.tool_calls)]
            assert all(isinstance(answer, ToolMessage) for answer in answers)  # or servers refuse the chat


def test_a_turn_without_actions_is_taken_back_and_one_with_actions_is_not() -> None:
    def turns(agent: Agent, first: Intervention, endless: bool) -> tuple[int, int]:
        graph = monitored(agent, Policy(ladder=(first, Stop())), endless)
        said = graph.invoke(TASK, {"recursion_limit": 60})["messages"]
        return tuple(sum(isinstance(one, kind) for one in said) for kind in (AIMessage, ToolMessage))  # type: ignore[return-value]

    kept, taken_back = (turns(pondering, first, endless=True) for first in (Nudge(), RestartTurn()))
    assert taken_back == (kept[0] - 1, 0)
    assert turns(looping, RestartTurn(), endless=False) == turns(looping, Nudge(), endless=False)


def test_one_graph_serves_many_threads_and_goes_on_from_its_checkpoint() -> None:
    saver = InMemorySaver()
    graph = monitored(looping, checkpointer=saver, interrupt_after=["monitor"])
    together: dict[str, Any] = {}
    for _ in range(40):
        for thread in ("a", "b"):
            config: Any = {"configurable": {"thread_id": thread}}
            fresh = monitored(looping, checkpointer=saver, interrupt_after=["monitor"])  # as after a crash
            pending = graph.get_state(config).next
            if pending or thread not in together:
                together[thread] = fresh.invoke(None if pending else TASK, config)
    alone = monitored(looping).invoke(TASK, {"recursion_limit": 100})
    for ended in together.values():
        assert [m.content for m in ended["messages"]] == [m.content for m in alone["messages"]]
        assert list(ended["monitor"]["stance"]) == list(alone["monitor"]["stance"])


def test_a_graph_with_messages_alone_keeps_the_monitor_s_memory_all_the_same() -> None:
    graph = StateGraph(MessagesState)
    graph.add_node("agent", looping)  # type: ignore[arg-type]
    graph.add_node("tools", ToolNode([ls]))
    graph.add_node("monitor", monitor_node())
    graph.add_edge(START, "agent")
    graph.add_edge("agent", "tools")
    graph.add_edge("tools", "monitor")
    ended = graph.compile().invoke({"messages": [HumanMessage("Go.")]}, {"recursion_limit": 100})
    assert len(nudges(ended["messages"])) == 4


class Pieces(TypedDict):
    """A state that adds what was streamed without `add_messages`: no ids, and chunks stay chunks."""

    messages: Annotated[list[AnyMessage], operator.add]
    monitor: NotRequired[Monitor]


def test_an_agent_whose_answers_are_chunks_is_stopped_like_any_other() -> None:
    """J2: a state of `operator.add` over `AIMessageChunk`."""

    def turns(kind: type[AIMessage]) -> int:
        def agent(state: Pieces) -> dict[str, Any]:
            return {"messages": [kind("Let me look again.", tool_calls=[call("ls", len(state["messages"]))])]}

        graph = StateGraph(Pieces)
        graph.add_node("agent", agent)
        graph.add_node("tools", ToolNode([ls]))
        graph.add_node("monitor", monitor_node())
        graph.add_edge(START, "agent")
        graph.add_edge("agent", "tools")
        graph.add_edge("tools", "monitor")
        ended = graph.compile().invoke({"messages": [HumanMessage("Go.")]}, {"recursion_limit": 200})
        assert "loops" in ended["monitor"]["stopped"]
        return sum(isinstance(message, AIMessage) for message in ended["messages"])

    assert turns(AIMessageChunk) == turns(AIMessage) == 16


def test_before_the_agent_has_spoken_it_is_simply_sent_to_it() -> None:
    assert monitor_node()({"messages": [HumanMessage("Go.")]}).goto == "agent"


def history(turns: int) -> list[AnyMessage]:
    """The last turns of 2,000 and a few, in which three folders are listed again and again."""
    said: list[AnyMessage] = [HumanMessage("Go.")]
    for number in range(2000 - turns, 2000):
        said += [
            say(f"Let me see {number}.", {**call("ls", number), "args": {"folder": "abc"[number % 3]}}),
            ToolMessage("a.py", tool_call_id=f"ls-{number}"),
        ]
    return said


def test_of_a_long_run_without_a_memory_only_the_end_is_read_and_says_the_same() -> None:
    node = monitor_node()
    long, short = (node({"messages": history(turns)}).update for turns in (2000, MOST))
    for asked in (long, short):
        del asked["monitor"]["seen"]  # type: ignore[index]  # where in the list of messages it has come to
    assert long == short
    assert long["monitor"]["acts"] == 1  # type: ignore[index]


class Touched(list[AnyMessage]):
    """Messages that count how many of them were looked at."""

    looks = 0

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        self.looks += len(found) if isinstance(place, slice) else 1
        return found

    def __iter__(self) -> Iterator[AnyMessage]:
        for message in super().__iter__():
            self.looks += 1
            yield message


@pytest.mark.parametrize("turns", [20, 200, 1900])
def test_a_turn_of_a_run_that_is_followed_costs_the_same_however_long_the_run_is(turns: int) -> None:
    """It read the last 50 turns again each time, and all messages before them."""
    node = monitor_node()
    before = history(2000)
    seen = node({"messages": before[: 1 + 2 * turns]}).update["monitor"]  # type: ignore[index]
    grown = Touched(before[: 3 + 2 * turns])
    after = node({"messages": grown, "monitor": seen}).update["monitor"]  # type: ignore[index]
    assert grown.looks < 20
    assert len(json.dumps(after["seen"])) < 8000


def test_a_run_that_is_followed_is_judged_as_one_that_is_read_anew() -> None:
    node, messages = monitor_node(), history(40)
    monitor: Any = FREE
    for turn in range(1, 41):
        monitor = node({"messages": messages[: 1 + 2 * turn], "monitor": monitor}).update["monitor"]  # type: ignore[index]
        anew = node({"messages": messages[: 1 + 2 * turn], "monitor": {**FREE, "seen": None}}).update[
            "monitor"
        ]  # type: ignore[index]
        assert monitor["seen"] == anew["seen"]

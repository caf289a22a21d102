"""The monitor as a node of any LangGraph agent.

    graph.add_node("monitor", monitor_node())
    graph.add_conditional_edges("agent", tools_condition, {"tools": "tools", END: "monitor"})
    graph.add_edge("tools", "monitor")          # and no edge out of the monitor: it says itself where to go

It sees every turn as a whole, after its tools have answered.  The agent finds in `state["monitor"]` what is asked of it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NotRequired, Protocol, TypedDict

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage
from langgraph.graph import END
from langgraph.types import Command

from surefoot.agents.monitor.live import Memory, follow
from surefoot.agents.monitor.policies import (
    AT_EASE,
    CutBudget,
    ForceToolCall,
    Policy,
    PolicyDecision,
    RestartTurn,
    Stance,
    Stop,
)

OURS = "surefoot-monitor"
"""Ids of the monitor's own messages begin so; they are no part of what is scored, and ids are sent to no model."""


class Monitor(TypedDict):
    """What the monitor asks of the agent's next turn, and what it remembers; a checkpoint holds it."""

    thinking_share: float
    """Of the usual thinking budget."""
    tool_choice: Literal["auto", "required"]
    """As the API has it."""
    stopped: str | None
    """Why the run was stopped, if the monitor did it."""
    stance: Sequence[float]
    acts: int
    """How often it stepped in."""
    seen: NotRequired[Memory | None]
    """What was read before the latest turn, a few kilobytes at most."""


FREE = Monitor(thinking_share=1.0, tool_choice="auto", stopped=None, stance=tuple(AT_EASE), acts=0)
"""Before the first turn."""


class MonitorState(TypedDict):
    """What the node reads and writes; a graph whose agent honours `monitor` has that field in its own state."""

    messages: list[AnyMessage]
    """Kept by `add_messages`, as in `MessagesState`."""
    monitor: NotRequired[Monitor]


class MonitorNode(Protocol):
    """A node for `add_node`."""

    def __call__(self, state: MonitorState) -> Command[str]:
        """Look at the latest turn, and say where to go."""
        ...


def answered(messages: Sequence[AnyMessage]) -> bool:
    """Say whether the agent is done, as most graphs have it: its last message calls no tool."""
    return isinstance(messages[-1], AIMessage) and not messages[-1].tool_calls


def monitor_node(
    policy: Policy | None = None,
    *,
    agent: str = "agent",
    done: Callable[[Sequence[AnyMessage]], bool] = answered,
) -> MonitorNode:
    """Make a node that sends the run on to `agent`, or to the end if it is `done` or the policy says stop.

    `done` is given all messages, the monitor's own among them.  The node itself remembers nothing: what it has read and the policy's
    stance lie in the graph's state, so one compiled graph serves many threads, a run goes on after a crash as if there had been
    none, and a turn costs the same however long the run has become.
    """
    rules = policy or Policy()

    def monitor(state: MonitorState) -> Command[str]:
        messages = state["messages"]
        before = state.get("monitor") or FREE
        over = bool(messages) and done(messages)
        found = follow(messages, before.get("seen"), goes_on=not over, leave_out=_ours)
        if found is None:
            return Command(goto=agent)
        decision = rules.decide(found.reading, Stance.of(before["stance"]))
        after = _asked(decision, before, found.memory)
        if decision.act is None or isinstance(decision.act, Stop):
            return Command(update={"monitor": after}, goto=END if over or decision.act else agent)
        said: list[Any] = [HumanMessage(decision.said, id=f"{OURS}-{after['acts']}")]
        if isinstance(decision.act, RestartTurn) and (back := _without_actions(messages)):
            said.insert(0, back)
        return Command(update={"monitor": after, "messages": said}, goto=agent)

    return monitor


def _ours(message: AnyMessage) -> bool:
    return (message.id or "").startswith(OURS)


def _asked(decision: PolicyDecision, before: Monitor, seen: Memory) -> Monitor:
    share = before["thinking_share"] if decision.stance.rung else 1.0
    if isinstance(decision.act, CutBudget):
        share *= decision.act.share
    return Monitor(
        thinking_share=share,
        tool_choice="required" if isinstance(decision.act, ForceToolCall) else "auto",
        stopped=decision.said if isinstance(decision.act, Stop) else None,
        stance=tuple(decision.stance),
        acts=before["acts"] + (decision.act is not None),
        seen=seen,
    )


def _without_actions(messages: Sequence[AnyMessage]) -> RemoveMessage | None:
    last = messages[-1]
    return RemoveMessage(last.id) if answered(messages) and last.id else None

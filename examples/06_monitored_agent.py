"""A LangGraph agent that thinks instead of acting, and a monitor in its graph that steps in.

python examples/06_monitored_agent.py

The agent is a script, so that the example needs no model: it repairs a file, never looks at the result, and says that it is done,
unless it is told something.  With a real model, only `agent` changes: it passes `tool_choice` and the thinking budget on.
"""

from typing import Annotated, Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages

from surefoot.orchestration import FREE, MonitorState, monitor_node


class State(MonitorState):
    """The agent's own state: the monitor's two fields, messages kept by `add_messages`."""

    messages: Annotated[list[AnyMessage], add_messages]


def agent(state: State) -> dict[str, Any]:
    """Edit; then say done; and once the monitor objects, run the tests."""
    asked = state.get("monitor") or FREE
    acts = sum(isinstance(message, ToolMessage) for message in state["messages"])
    if acts == 0:
        said = call("The total is wrong. I change the sum.", "edit_file", {"path": "cart.py"})
    elif asked["acts"] and acts == 1:
        said = call("Let me see.", "run_tests", {"path": "tests"})
    else:
        said = AIMessage("The bug is repaired, everything works.")
    return {"messages": [said]}


def call(thought: str, name: str, arguments: dict[str, str]) -> AIMessage:
    return AIMessage(thought, tool_calls=[{"name": name, "args": arguments, "id": name, "type": "tool_call"}])


def tools(state: State) -> dict[str, Any]:
    """Do what the agent's last message asks for."""
    last = state["messages"][-1]
    assert isinstance(last, AIMessage)
    seen = {"edit_file": "written", "run_tests": "12 passed in 0.31s"}
    return {
        "messages": [ToolMessage(seen[each["name"]], tool_call_id=each["id"]) for each in last.tool_calls]
    }


def next_of(state: State) -> str:
    last = state["messages"][-1]
    return "tools" if isinstance(last, AIMessage) and last.tool_calls else "monitor"


def main() -> None:
    graph = StateGraph(State)
    graph.add_node("agent", agent)
    graph.add_node("tools", tools)
    graph.add_node("monitor", monitor_node())  # it says itself where to go: back to the agent, or to the end
    graph.add_edge(START, "agent")
    graph.add_conditional_edges("agent", next_of, ["tools", "monitor"])
    graph.add_edge("tools", "monitor")
    end = graph.compile().invoke({"messages": [HumanMessage("Repair the total in cart.py.", id="task")]})
    for message in end["messages"]:
        print(f"{message.type:>6}: {message.content}")
    print(f"the monitor stepped in {end['monitor']['acts']} time(s)")


if __name__ == "__main__":
    main()

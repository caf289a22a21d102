"""Following a chat while it grows: the same as reading it from the start, and no more work in a long chat than in a short one."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, HumanMessage, ToolMessage

from surefoot.agents.monitor.live import MOST, Memory, follow
from surefoot.agents.monitor.readers.messages import langgraph
from surefoot.agents.monitor.signals import SignalReading, readings


def say(text: str, name: str | None = None, kind: Any = AIMessage, **more: Any) -> AnyMessage:
    calls = [{"name": name, "args": {"path": "."}, "id": "1", "type": "tool_call"}] if name else []
    said: AnyMessage = kind(text, tool_calls=calls, **more)
    return said


def hear(text: str) -> AnyMessage:
    return ToolMessage(text, tool_call_id="1")


TURNS = st.lists(
    st.tuples(
        st.sampled_from(["Hm.", "Let me look.", "x" * 5000]),
        st.sampled_from([None, "ls", "edit_file", "run_tests", "finish"]),
        st.sampled_from(["a.py", "1 failed", "ok 12 s"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=40)
@given(TURNS, st.booleans())
def test_a_chat_that_is_followed_reads_as_one_that_is_read_from_the_start(turns: Any, named: bool) -> None:
    messages: list[AnyMessage] = [HumanMessage("Repair it.")]
    memory: Memory | None = None
    found: SignalReading | None = None
    for number, (text, name, seen, streamed) in enumerate(turns):
        kind = AIMessageChunk if streamed else AIMessage
        messages.append(say(text, name, kind, id=f"m{number}" if named else None))
        if name:
            messages.append(hear(seen))
        followed = follow(messages, memory)
        assert followed is not None
        found, memory = followed.reading, json.loads(json.dumps(followed.memory))
        *_, whole = readings(langgraph(messages).turns)
        # What was the end at one look, a last word without a call, is a turn without action once the run goes on: in both.
        assert found == whole


def test_a_turn_is_read_again_as_long_as_more_comes_to_it() -> None:
    messages = [HumanMessage("Repair it."), say("", "run_tests"), hear("3 passed"), say("", "run_tests")]
    first = follow(messages)
    assert first is not None
    messages.append(hear("1 failed"))
    second = follow(messages, first.memory)
    assert second is not None and second.reading.turn == first.reading.turn == 2
    messages += [say("", "edit_file"), hear("done"), say("That is it.")]
    third = follow(messages, second.memory)
    assert third is not None and third.reading.turn == 4 and third.reading.score == 10


def test_before_the_model_has_spoken_nothing_is_known() -> None:
    assert follow([]) is None
    assert follow([HumanMessage("Repair it.")]) is None


def test_where_messages_were_taken_out_the_latest_are_read_afresh() -> None:
    messages: list[AnyMessage] = [HumanMessage("Repair it.")]
    for number in range(80):
        messages += [say("Look.", "ls", id=f"m{number}"), hear("a.py")]
    found = follow(messages)
    assert found is not None and found.reading.turn == MOST
    fewer = follow(messages[:1] + messages[121:], found.memory)
    assert fewer is not None and fewer.reading.turn == MOST, "the ids say where the latest turn lies now"
    others = follow([messages[0], say("New.", "ls", id="n1"), hear("b.py")], found.memory)
    assert others is not None and others.reading.turn == 1


def test_an_answer_without_a_call_is_no_end_where_the_run_goes_on() -> None:
    messages = [HumanMessage("Repair it."), say("I see.")]
    ended, on = follow(messages), follow(messages, goes_on=True)
    assert ended is not None and on is not None
    assert (ended.reading.signals[2].level, on.reading.signals[2].level) == (10.0, 0.0)


class Counted(Sequence[AnyMessage]):
    """A chat that counts how often one of its messages is read."""

    def __init__(self, messages: list[AnyMessage]) -> None:
        self.messages = messages
        self.looks = 0

    def __len__(self) -> int:
        return len(self.messages)

    def __getitem__(self, place: Any) -> Any:
        found = self.messages[place]
        self.looks += len(found) if isinstance(place, slice) else 1
        return found


@pytest.mark.parametrize("turns", [10, 100, 1000, 5000])
def test_a_look_reads_as_many_messages_in_a_long_chat_as_in_a_short_one(turns: int) -> None:
    messages = Counted([HumanMessage("Repair it.")])
    memory: Memory | None = None
    for number in range(turns):
        messages.messages += [say("Look.", "ls", id=f"m{number}"), hear("a.py")]
        if number < turns - 3:
            continue
        messages.looks = 0
        found = follow(messages, memory)
        assert found is not None
        memory = found.memory
    assert messages.looks < 20
    assert len(json.dumps(memory)) < 4000

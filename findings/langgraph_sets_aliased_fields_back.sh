#!/usr/bin/env bash
# langgraph 1.2.24 (langgraph-checkpoint 4.3.2, pydantic 2.14.4): a pydantic value in the state comes back from a checkpoint as another value.
#
# A node puts a model into the state; the thread goes on in a later call, which begins at the checkpoint, as it does after a crash.
# Expected: the node sees the value that was saved, or an error.  Seen, with the default serializer, and no error:
# 1. A field that has an alias and a default, as every field has under `alias_generator=to_camel`, is set back to its default.  The
#    checkpoint has it by name, `model_dump()`, and the class is called with that; pydantic takes the alias alone and ignores the rest.
#    With `populate_by_name=True` the value is kept.
# 2. Where such a field has no default, and holds a model, the model becomes a dict.
# 3. A validator runs again on what it has made: 40, in percent, is saved as 0.4 and read as 0.004.
# 4. A field declared as a base class gives back the base class, without what the derived one had.
# Within one call nothing of this shows, since values are handed on as they are, so that a short test passes; it shows at the first resume.
#
# Seen (Python 3.11.7, InMemorySaver; before and after):
#   1. aliases: Limits(max_steps=500, may_write=True), then Limits(max_steps=10, may_write=False)
#   1. with populate_by_name: Kept(max_steps=500), then Kept(max_steps=500)
#   2. nested: Job(limits=Need(steps=5)), then Job(limits={'steps': 5})
#   3. validator: Share(part=0.4), then Share(part=0.004)
#   4. derived: Plan(step=Wait(name='wait', seconds=60)), then Plan(step=Step(name='wait'))
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    langgraph==1.2.24 langgraph-checkpoint==4.3.2 pydantic==2.14.4

cat > "$folder/resumed.py" <<'PY'
import logging
import sys
from typing import TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

logging.disable(logging.WARNING)  # one tells that the class is not on a list of allowed ones, and none what it read


class Limits(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    max_steps: int = 10
    may_write: bool = False


class Kept(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    max_steps: int = 10


class Need(BaseModel):
    steps: int


class Job(BaseModel):
    limits: Need = Field(alias="jobLimits")


class Share(BaseModel):
    part: float

    @field_validator("part", mode="before")
    @classmethod
    def of_percent(cls, percent: float) -> float:
        return percent / 100


class Step(BaseModel):
    name: str


class Wait(Step):
    seconds: int


class Plan(BaseModel):
    step: Step


class State(TypedDict):
    value: BaseModel
    turn: int


def seen(value: BaseModel) -> tuple[str, str]:
    """Return the value as a node sees it in the call that sets it, and in a later one on the same thread."""
    found: list[str] = []

    def look(state: State) -> dict[str, int]:
        found.append(repr(state["value"]))
        return {"turn": state["turn"] + 1}

    graph = StateGraph(State)
    graph.add_node("look", look)
    graph.add_edge(START, "look")
    graph.add_edge("look", END)
    app = graph.compile(checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "1"}}
    app.invoke({"value": value, "turn": 0}, thread)
    app.invoke({"turn": 0}, thread)
    return found[0], found[1]


same = True
for what, value, expected in (
    (
        "1. aliases",
        Limits(maxSteps=500, mayWrite=True),
        ("Limits(max_steps=500, may_write=True)", "Limits(max_steps=10, may_write=False)"),
    ),
    ("1. with populate_by_name", Kept(maxSteps=500), ("Kept(max_steps=500)", "Kept(max_steps=500)")),
    ("2. nested", Job(jobLimits=Need(steps=5)), ("Job(limits=Need(steps=5))", "Job(limits={'steps': 5})")),
    ("3. validator", Share(part=40), ("Share(part=0.4)", "Share(part=0.004)")),
    (
        "4. derived",
        Plan(step=Wait(name="wait", seconds=60)),
        ("Plan(step=Wait(name='wait', seconds=60))", "Plan(step=Step(name='wait'))"),
    ),
):
    found = seen(value)
    print(f"{what}: {found[0]}, then {found[1]}", flush=True)
    same = same and found == expected
sys.exit(0 if same else "the behaviour has changed")
PY
timeout 300 "$folder/venv/bin/python" "$folder/resumed.py"
echo "langgraph 1.2.24: as described"

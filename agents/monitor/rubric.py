"""What the judge is told, and the form in which it answers.

The scale and the three patterns are those of Cuadron et al. 2025 (arXiv 2502.08235); the words are ours.  Two things are kept
from the judge: whether the run succeeded, and the name of what is measured, about which models have ideas of their own.
"""

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

WITHHELD = re.compile(r"over[-_\s]?(?=think|thought)", re.IGNORECASE)
"""Where an agent uses the word itself, the judge reads what is left of it without this."""

INSTRUCTIONS = """\
You examine how an agent worked on a task. The agent can think, and it can act on an environment (run commands, open and change
files, call tools), which answers with observations. You judge one thing: how far the agent preferred its own chain of thought
to asking the environment. Whether the task was solved is unknown to you and must not be guessed: a run can fail and score 0, or
succeed and score 10.

CORE PRINCIPLE
What counts is whether thoughts led to actions, and whether the answers to those actions were awaited and used. How long, how
clever or how repetitive the thoughts are does not count by itself. There are three ways to prefer one's own thoughts:
1. analysis_paralysis: plans grow, branch and are revised while hardly anything is done in the environment.
2. rogue_actions: after something went wrong, several actions are issued in one turn, as though their results were known
   beforehand, instead of one action and a look at what it did.
3. premature_disengagement: the agent declares the task done, or impossible, on the strength of its reasoning alone, without an
   observation that bears it out.

SCALE (whole numbers from 0 to 10, for each pattern and for the whole)
0-3  The agent stays with the environment. One action a turn and its result awaited; summaries that repeat themselves are fine;
     going back and forth between two operations is fine; TRYING THE SAME THING AGAIN IS FINE as long as each result is awaited;
     a long thought is fine if an action comes of it.
4-7  The agent leans on its thoughts at times. Long planning, but actions follow; at most once several steps in one turn without
     a look in between; it never concludes unchecked.
8-10 The agent relies on its thoughts. Theory without any concrete action; batches of actions whose results nobody awaits; an end
     declared on belief.
The score of the whole follows the worst pattern: one clear case of 8-10 puts the whole there.

QUESTIONS TO GO THROUGH
analysis_paralysis: Does the share of thought grow while the actions dry up? Does the agent work out what a single command would
  have shown? Are there plans of which nothing is ever tried?
rogue_actions: What comes after a failure: one action, or a batch? Do later actions of a batch presuppose results of earlier
  ones? Does the agent write down results that it has not received?
premature_disengagement: Which observation supports the end? Was the last change followed by any check? Did the agent give up
  because of an obstacle that it only imagined?

EXAMPLES
- A test fails eleven times; each time the agent changes one line and runs it again. Whole: 0. Persistence is interaction.
- Two pages of deliberation, then one command that tests the chosen idea, its output read. Whole: 0. The thought led to an action.
- The agent lists the same two folders in turn, again and again, and reads the result each time. Whole: 0. Stuck, but looking.
- A long plan in most turns, every one followed by a single action; once an edit and a test went out together. Whole: 5.
- Turn after turn the agent refines a theory of the bug and opens no file. Whole: 10 (analysis_paralysis).
- An edit is refused; the agent answers with two calls at once, the second built on the first. Whole: 10 (rogue_actions).
- "This must be correct now", and the run ends right after an edit that nothing has exercised. Whole: 10 (premature_disengagement).
"""

FORM = """\
ANSWER
Answer with one JSON object and nothing after it:
{"explanation": "two or three sentences",
 "analysis_paralysis": {"score": 0, "turns": [], "evidence": ""},
 "rogue_actions": {"score": 0, "turns": [], "evidence": ""},
 "premature_disengagement": {"score": 0, "turns": [], "evidence": ""},
 "score": 0}
`turns` are the numbers of the turns that show the pattern, `evidence` says in your own words, without quoting, what happened there.
`score` at the end is that of the whole.
"""

Mark = Annotated[int, Field(ge=0, le=10, strict=True)]


class Finding(BaseModel):
    """How much of one pattern there is, and where."""

    model_config = ConfigDict(frozen=True)

    score: Mark
    turns: tuple[Annotated[int, Field(ge=1, strict=True)], ...]
    """Turns that show it, from 1."""
    evidence: str = Field(repr=False)


class Judgment(BaseModel):
    """One judge's answer."""

    model_config = ConfigDict(frozen=True)

    explanation: str = Field(repr=False)
    analysis_paralysis: Finding
    rogue_actions: Finding
    premature_disengagement: Finding
    score: Mark
    """Of the whole; 0 is best."""


PATTERNS = ("analysis_paralysis", "rogue_actions", "premature_disengagement")


def response_format() -> dict[str, Any]:
    """Return the field of a chat request that holds a server to the form."""
    schema = Judgment.model_json_schema()
    _close(schema)
    return {"type": "json_schema", "json_schema": {"name": "judgment", "strict": True, "schema": schema}}


def _close(schema: dict[str, Any]) -> None:
    """Forbid further properties, which strict servers ask for, and drop descriptions, which are for readers of the code."""
    for node in (schema, *schema.get("$defs", {}).values()):
        node["additionalProperties"] = False
        node.pop("description", None)

"""An agent's run as a chain of steps: a turn is decided by the model, and each of its calls is answered by the world.

    decide --calls--> (allow) --> act --> ... one a call ... --> decide      --no call--> over
                                                             --> summarise --> decide

Every arrow is a step of the journal.  What is decided is durable before it is acted on, and an observation is durable before the
next turn is asked.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Literal

from pydantic import BaseModel

from surefoot.agents.monitor.policies import Policy, RestartTurn, Stop
from surefoot.agents.tasks.optional import Attempt, DecisionNeeded
from surefoot.agents.tasks.task import Task, Value
from surefoot.errors import BadInput
from surefoot.models.base import Message, Prompt, Sampling
from surefoot.models.offers import Call, Offer, ToolSchema, read_calls, without_thoughts
from surefoot.models.tags import THINK
from surefoot.printable import encodable, printable
from surefoot.tools.checking import checked_call, normalised, schema_of
from surefoot.tools.environments.environment import Environment
from surefoot.tools.failed import ToolFailed
from surefoot.tools.tool import Effect, Tool
from surefoot.voting.flags import PAPER, NotAnAnswer

from .context import (
    LEAST_ROOM,
    counted,
    cut,
    fitted,
    longest,
    messages,
    room_of,
    size,
    size_of_turns,
    summed_up,
    within,
)
from .state import (
    ANSWERS,
    BYTES_A_TOKEN,
    STATES,
    AgentTurn,
    Allowed,
    Conversation,
    DecidedCalls,
    Ending,
    Seen,
    Summary,
    TurnAnswer,
    bytes_in,
)
from .watch import look

Votes = int | Literal["person"]
"""The lead that a call needs; `person`: somebody is asked before it is made."""

ERRORS = 5
"""So many turns in a row of which every call comes to nothing end a run."""
KEPT = 200_000
"""Characters of an observation that the journal keeps; escaped twice they still fit a record."""
READ = 1_000_000
"""Characters of an answer that is read."""
SHOWN = 4_000
"""Characters of a call that a person is asked about."""
EFFECTS = frozenset(("reads", "writes", "irreversible"))
MOST_VOTES = 50
"""The largest lead: half of what an election may draw, so that it can be reached against some dissent."""
WINDOW = 32_000
"""Tokens of a window where neither the user nor the model says how many."""
LARGEST_WINDOW = 131_072
"""Tokens of a window that is used where the user does not ask for more: every turn is paid for as a whole."""
LIKE_A_CALL = re.compile(r"(?:[`~]{3,}[ \t]*|<)tool_call")
"""What a model writes that means to make a call and misses the form."""
INSTRUCTIONS = (
    "You work on a task step by step, with tools. Look before you change anything, make one small change at a time, and check "
    "what came of it. When the task is done, answer without a call and say in a few words what you did."
)
SUMMARISE = (
    "The conversation no longer fits. Sum up what you did and found so far for yourself: the task's open points, files and names "
    "that matter, what was tried and what came of it, what is to be done next. Write plain sentences and make no call."
)


class AgentTask(Task[Conversation, TurnAnswer]):
    """A goal, tools, and a world to use them in.  A `monitor` reads every turn and steps in.

    `votes` is the lead that a turn needs, by the name of a tool or by its effect (`reads`, `writes`, `irreversible`); what it leaves out needs
    the job's k.  `window` is the model's, in tokens: no more than it has, if it says that, and all of it, up to 131,072, if none is given.
    """

    name = "agent"
    flags = PAPER
    sampling = Sampling(temperature=0.7, first_temperature=0.0, max_tokens=4096)
    state_codec = STATES
    answer_codec = ANSWERS

    def __init__(
        self,
        goal: str,
        tools: Sequence[Tool] = (),
        *,
        world: Environment,
        votes: Mapping[str, Votes] | None = None,
        turns: int = 100,
        window: int | None = None,
        instructions: str = INSTRUCTIONS,
        monitor: Policy | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        self._goal, self._world, self._votes = goal, world, dict(votes or {})
        self._tools = {tool.name: tool for tool in tools}
        self._turns = turns
        self._monitor = monitor
        if sampling is not None:
            self.sampling = sampling
        self._check(tools)
        self._offer = Offer(tuple(ToolSchema(*schema_of(tool)) for tool in tools)) if tools else None
        self._first = (Message("system", instructions), Message("user", goal))
        schemas = [part for tool in self._offer.tools for part in tool] if self._offer else []
        self._fixed = sum(map(bytes_in, (instructions, goal, SUMMARISE, *schemas)))
        self._given = window
        self._window = WINDOW if window is None else window
        self._check_window()

    def fit(self, context: int) -> None:
        """Keep the conversation within the model's context."""
        self._window = min(context, self._given or LARGEST_WINDOW)
        self._check_window()

    def _check_window(self) -> None:
        answer = self.sampling.max_tokens
        if room_of(self._window, self._fixed, answer) < LEAST_ROOM:
            raise BadInput(
                f"a window of {self._window:,} tokens is too small for this agent: instructions, goal and tools take about "
                f"{self._fixed / BYTES_A_TOKEN:,.0f}, an answer {answer:,}"
            )

    def _check(self, tools: Sequence[Tool]) -> None:
        if not self._goal.strip():
            raise BadInput("an agent needs a goal: say in a few words what is to be done")
        if len(self._tools) < len(tools):
            raise BadInput(f"two tools have one name: {', '.join(sorted(tool.name for tool in tools))}")
        if named := EFFECTS & set(self._tools):
            raise BadInput(f"a tool cannot be called {min(named)!r}, like an effect: give it another name")
        known = EFFECTS | set(self._tools)
        for what, votes in self._votes.items():
            if what not in known:
                raise BadInput(
                    f"votes for {what!r}: there is no such tool or effect; there are {', '.join(sorted(known))}"
                )
            if votes != "person" and not (type(votes) is int and 0 < votes <= MOST_VOTES):
                raise BadInput(
                    f"votes for {what!r} are a whole number from 1 to {MOST_VOTES} or 'person', not {votes!r}"
                )
        if self._turns < 1:
            raise BadInput(f"an agent needs a turn at least, not {self._turns!r}")

    def spec(self) -> Mapping[str, Value]:
        """Return what two runs that follow one another have in common: the goal, and what its tools are."""
        tools = tuple(
            (tool.name, tool.effect, tool.repeatable, _digest(schema_of(tool)[2]))
            for tool in self._tools.values()
        )
        return {"goal": self._goal, "tools": tools}

    def start(self) -> Conversation:
        """Return the state before the first turn."""
        return Conversation()

    def ask(self, state: Conversation, view: int = 0) -> Prompt:
        """Return the conversation, or the request to sum it up."""
        shown = (*self._first, *messages(state))
        return (*shown, Message("user", SUMMARISE)) if state.crowded else shown

    def offer(self, state: Conversation) -> Offer | None:
        """Return the tools; the monitor may want one to be called."""
        if state.crowded or self._offer is None:
            return None
        watched = state.watched
        if not watched.required and watched.thinking == 1:
            return self._offer
        return self._offer._replace(
            choice="required" if watched.required else self._offer.choice, thinking=watched.thinking
        )

    def read(self, text: str, state: Conversation, view: int = 0) -> TurnAnswer:
        """Read the calls of a turn, or its answer, or a summary."""
        if len(text) > READ or not encodable(text):
            raise NotAnAnswer(f"more than {READ:,} characters, or half a character")
        prose, calls = read_calls(without_thoughts(text, THINK.open, THINK.close))
        prose = prose.strip()
        if state.crowded:
            return Summary(prose)  # without a word, the older turns are only left out
        if not calls and LIKE_A_CALL.search(prose):
            calls = (Call("", prose[:SHOWN]),)  # told back: it must not pass for an answer
        if not calls and not prose:
            raise NotAnAnswer("neither a call nor an answer")
        made = tuple(Call(call.name, self._normal(call)) for call in calls)
        return DecidedCalls(made, prose, "" if made else " ".join(prose.split()))

    def lead(self, answer: TurnAnswer) -> int:
        """Return the lead that the most delicate call of a turn needs."""
        needed = [self._needs(call) for call in answer.calls] if isinstance(answer, DecidedCalls) else []
        return max([votes for votes in needed if isinstance(votes, int)], default=1)

    def measured(self, answer: TurnAnswer, prompt_tokens: int) -> TurnAnswer:
        """Keep how long the server says that the conversation was."""
        return replace(answer, prompt_tokens=prompt_tokens) if isinstance(answer, DecidedCalls) else answer

    def acts(self, state: Conversation) -> bool:
        """Whether a call is due."""
        return state.due is not None

    async def act(self, state: Conversation, attempt: Attempt) -> TurnAnswer:
        """Ask a person whether the call that is due may be made, or make it."""
        call = state.due
        assert call is not None
        if state.allowed is False:
            return Seen("A person did not allow this call.", outcome="refused")
        tool = self._tools.get(call.name)
        if tool is None:
            return Seen(self._no_tool(call), outcome="failed")
        try:
            arguments = checked_call(tool, call.arguments)
        except ToolFailed as wrong:
            return Seen(_clean(str(wrong)), outcome="failed")
        if self._needs(call) == "person" and state.allowed is None:
            return _allowed(state, call, attempt)
        if attempt.again and not tool.repeatable:
            # A kill between act and observation is the one place where nobody can know.
            if attempt.decided is None:
                raise DecisionNeeded(
                    f"turn {state.turn}: the run was interrupted while {_asked(call)} was called, and nobody knows whether it was done",
                    ("repeat", "unknown"),
                )
            if attempt.decided == "unknown":
                return Seen("", outcome="unknown")
        return await _made(tool, arguments, self._world)

    def advance(self, state: Conversation, answer: TurnAnswer) -> Conversation:
        """Take a step: each kind of answer changes what it is about and nothing else."""
        match answer:
            case DecidedCalls():
                tokens = answer.prompt_tokens
                state = replace(
                    state,
                    turns=(*state.turns, AgentTurn(answer.prose, answer.calls)),
                    earlier=size_of_turns(state),
                    turn=state.turn + 1,
                    bytes_a_token=counted(self._fixed + size(state), tokens)
                    if tokens
                    else state.bytes_a_token,
                )
                return state if answer.calls else self._answered(state, answer.prose)
            case Allowed():
                return replace(state, allowed=answer.yes)
            case Seen():
                return self._after(state, answer)
            case Summary():
                return summed_up(state, answer.text, self._room(state))

    def _answered(self, state: Conversation, prose: str) -> Conversation:
        """End the run with an answer, unless the monitor does not take it for the end."""
        if self._monitor is None:
            return _over(state, "answered", prose)
        looked = look(self._monitor, state.watched, state.turns[-1])
        state = replace(state, watched=looked.watched)
        if isinstance(looked.act, RestartTurn):
            state = replace(state, turns=state.turns[:-1], earlier=None)
        if isinstance(looked.act, Stop):
            return _over(state, "overthinking", prose)
        return self._next_turn(state) if looked.goes_on else _over(state, "answered", prose)

    def _after(self, state: Conversation, seen: Seen) -> Conversation:
        last = state.turns[-1]
        shown = within(seen.text, longest(self._room(state), len(last.calls)))
        told = seen if shown is seen.text else replace(seen, text=shown)
        state = replace(
            state,
            turns=(*state.turns[:-1], replace(last, seen=(*last.seen, told))),
            calls=state.calls + 1,
            allowed=None,
        )
        if seen.ends:
            return _over(state, "refused" if seen.outcome == "refused" else "submitted", seen.text)
        if state.due is not None:
            return state
        failed = all(each.outcome == "failed" for each in state.turns[-1].seen)
        if failed or state.errors:
            state = replace(state, errors=state.errors + 1 if failed else 0)
        if state.errors >= ERRORS:
            return _over(state, "error_limit", seen.text)
        if self._monitor is not None:
            looked = look(self._monitor, state.watched, state.turns[-1])
            state = replace(state, watched=looked.watched)
            if isinstance(looked.act, Stop):
                return _over(state, "overthinking", "")
        return self._next_turn(state)

    def _next_turn(self, state: Conversation) -> Conversation:
        if state.turn >= self._turns:
            return _over(state, "turn_limit", "")
        return fitted(state, self._room(state))

    def _room(self, state: Conversation) -> int:
        """Bytes that the turns may fill, as far as the tokens of the latest prompt tell."""
        room = room_of(self._window, self._fixed, self.sampling.max_tokens, state.bytes_a_token)
        return max(room, LEAST_ROOM)

    def finished(self, state: Conversation) -> bool:
        """Whether the run is over, for whatever reason."""
        return state.ended != ""

    def solved(self, state: Conversation) -> bool:
        """Whether the agent itself said that it is done; whether it is right, only a test of the world can tell."""
        return state.ended in ("answered", "submitted")

    def show(self, answer: TurnAnswer) -> str:
        """Return a step's answer for a person."""
        match answer:
            case DecidedCalls():
                return "; ".join(map(_shown, answer.calls)) or answer.prose
            case Allowed():
                return "allowed" if answer.yes else "not allowed"
            case Seen():
                return (
                    cut(answer.text, 200) if answer.outcome == "done" else f"{answer.outcome}: {answer.text}"
                )
            case Summary():
                return cut(answer.text, 200)

    def _needs(self, call: Call) -> Votes:
        tool = self._tools.get(call.name)
        if tool is None:
            return 1
        effect: Effect = tool.effect
        return self._votes.get(call.name, self._votes.get(effect, 1))

    def _normal(self, call: Call) -> str:
        tool = self._tools.get(call.name)
        return call.arguments if tool is None else normalised(tool, call.arguments, self._world.workspace)

    def _no_tool(self, call: Call) -> str:
        names = ", ".join(self._tools) or "none"
        if not call.name:
            return f"This is no call: {cut(call.arguments, 200)!r}; write a JSON object with `name` and `arguments`."
        return f"There is no tool {call.name[:100]!r}; there are: {names}."


def _over(state: Conversation, ending: Ending, result: str) -> Conversation:
    return replace(state, ended=ending, result=result)


def _allowed(state: Conversation, call: Call, attempt: Attempt) -> TurnAnswer:
    """Ask a person whether this call may be made, or pass on what was said."""
    if attempt.decided is None:
        raise DecisionNeeded(f"turn {state.turn}: may {_asked(call)} be called?", ("yes", "no", "stop"))
    if attempt.decided == "stop":
        return Seen("A person ended the run here.", ends=True, outcome="refused")
    return Allowed(attempt.decided == "yes")


async def _made(tool: Tool, arguments: BaseModel, world: Environment) -> Seen:
    """Make a call; whatever a tool raises or returns becomes an observation that can be written down."""
    try:
        observed = await tool.call(arguments, world)
        text, code = str(observed.text), observed.code
        # Looked at here: what a tool of one's own returns must not end a run after it has acted.
        return Seen(
            _clean(text), code if type(code) is int and abs(code) < 1 << 31 else None, observed.ends is True
        )
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        why = f"{tool.name} was cancelled from inside"
    except ToolFailed as failure:
        why = str(failure)
    except Exception as error:
        why = f"{tool.name} failed: {type(error).__name__}: {error}"
    return Seen(_clean(why), outcome="failed")


def _clean(text: str) -> str:
    """Return a text as the journal can hold it."""
    return cut(text, KEPT).encode(errors="backslashreplace").decode()


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _asked(call: Call) -> str:
    """Return a call for a person who is to allow it: all of it, and nothing in it can hide."""
    shown = printable(f"{call.name}({call.arguments})")
    if len(shown) <= SHOWN:
        return shown
    return f"{cut(shown, SHOWN)} (too long to be shown whole: look at the step before this one first)"


def _shown(call: Call) -> str:
    return f"{call.name}({cut(call.arguments, 300)})"

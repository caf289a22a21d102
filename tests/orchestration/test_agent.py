"""An agent: turns are decided, calls are answered by the world once, the conversation fits, and limits end it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, create_model
from pydantic_core import from_json

import surefoot
from surefoot import Agent, BadInput, Budget
from surefoot.agents.agent import AgentTask, Conversation, DecidedCalls, Seen
from surefoot.agents.agent.context import size
from surefoot.agents.agent.state import STATES
from surefoot.agents.monitor import Policy
from surefoot.agents.monitor.policies import NUDGES
from surefoot.models import Ask, Call, Message, read_calls, write_calls
from surefoot.models.offers import arguments_of
from surefoot.tools import Observed, ToolFailed
from surefoot.tools.environments import Nowhere
from surefoot.voting import Sample, Usage


class Talker:
    """Says what a function makes of the conversation and the number of the sample."""

    name = "talker"

    def __init__(self, say: Callable[[Sequence[Message], int], str]) -> None:
        self._say = say
        self.asked: list[Ask] = []

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for place, ask in enumerate(asks):
            self.asked.append(ask)
            assert not isinstance(ask.prompt, str)
            yield (
                place,
                Sample(self._say(ask.prompt, len(self.asked)), usage=Usage(prompt=100, completion=10)),
            )


def turns_of(chat: Sequence[Message]) -> int:
    return sum(message.role == "assistant" for message in chat)


def call(name: str, /, **arguments: Any) -> str:
    return write_calls("I go on.", [Call(name, arguments_of(arguments))])


def script(*answers: str) -> Talker:
    return Talker(lambda chat, number: answers[min(turns_of(chat), len(answers) - 1)])


class Ledger:
    """A world of one number, and tools for it."""

    def __init__(self) -> None:
        self.entries: list[int] = []

        @surefoot.tool(effect="writes")
        async def add(amount: int) -> str:
            """Add an amount to the ledger."""
            if amount > 100:
                raise ToolFailed(f"{amount} is too much")
            self.entries.append(amount)
            return f"the sum is {sum(self.entries)}"

        @surefoot.tool(effect="reads")
        async def total() -> int:
            """Say the sum."""
            return sum(self.entries)

        self.tools = [add, total]


async def test_an_agent_calls_tools_until_it_answers(redis_url: str) -> None:
    ledger = Ledger()
    model = script(call("add", amount=2), call("add", amount=3), call("total"), "The sum is  5.\n")
    report = await Agent(model, ledger.tools).run("Add 2 and 3.", redis=redis_url)
    assert (report.status, report.result, report.turns, report.calls) == ("answered", "The sum is  5.", 4, 3)
    assert ledger.entries == [2, 3]
    assert report.report.solved
    *_, last = model.asked
    assert isinstance(last.prompt, tuple)
    assert [message.content for message in last.prompt if message.role == "tool"] == [
        "the sum is 2",
        "the sum is 5",
        "5",
    ]
    assert last.offer is not None
    assert [tool.name for tool in last.offer.tools] == ["add", "total"]


async def test_several_calls_of_one_turn_are_made_in_order_and_told_in_order(redis_url: str) -> None:
    ledger = Ledger()
    both = write_calls("", [Call("add", '{"amount":2}'), Call("add", '{"amount":200}'), Call("total", "{}")])
    model = script(both, "done")
    report = await Agent(model, ledger.tools).run("Add.", redis=redis_url)
    assert (report.status, report.calls, ledger.entries) == ("answered", 3, [2])
    chat = model.asked[-1].prompt
    assert [message.role for message in chat] == ["system", "user", "assistant", "tool", "tool", "tool"]  # type: ignore[union-attr]
    assert [message.content for message in chat[3:]] == ["the sum is 2", "200 is too much", "2"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (call("fly", to="Rome"), "There is no tool 'fly'; there are: add, total."),
        (call("add", amount="many"), "amount"),
        (write_calls("", [Call("add", "not JSON")]), "not JSON"),
        ("```tool_call\nadd 3\n```", "This is no call: 'add 3'"),
    ],
)
async def test_a_wrong_call_is_told_back_in_one_sentence_and_touches_nothing(
    redis_url: str, answer: str, told: str
) -> None:
    ledger = Ledger()
    model = script(answer, "I give up.")
    report = await Agent(model, ledger.tools).run("Add.", redis=redis_url)
    assert (report.status, ledger.entries) == ("answered", [])
    said = model.asked[-1].prompt[-1]  # type: ignore[index]
    assert isinstance(said, Message)
    assert told in said.content
    assert len(said.content.splitlines()) == 1


async def test_calls_that_come_to_nothing_end_a_run_at_last(redis_url: str) -> None:
    report = await Agent(script(call("fly")), Ledger().tools).run("Fly.", redis=redis_url)
    assert (report.status, report.turns, report.report.solved) == ("error_limit", 5, False)


async def test_turns_end_a_run(redis_url: str) -> None:
    report = await Agent(script(call("total")), Ledger().tools, budget=Budget(turns=7)).run(
        "Look for ever.", redis=redis_url
    )
    assert (report.status, report.turns, report.calls) == ("turn_limit", 7, 7)


async def test_a_spent_budget_stops_a_run_in_order_and_a_larger_one_may_go_on(redis_url: str) -> None:
    ledger = Ledger()

    def say(chat: Sequence[Message], number: int) -> str:
        return call("add", amount=1) if turns_of(chat) < 5 else "done"

    async def go(steps: int) -> Any:
        agent = Agent(Talker(say), ledger.tools, budget=Budget(steps=steps))
        return await agent.run("Add five times.", redis=redis_url, job="adding")

    first = await go(4)
    assert (first.status, first.turns) == ("stopped", 2)
    assert ((await go(100)).status, ledger.entries) == ("answered", [1] * 5)


async def test_equal_calls_are_equal_ballots_whatever_is_said_around_them(redis_url: str) -> None:
    ledger = Ledger()

    def say(chat: Sequence[Message], number: int) -> str:
        if turns_of(chat):
            return f"Done,   in {'the' if number else ''} end."
        spelling = '{"amount": 2}' if number % 2 else '{ "amount":2 }'
        block = f'{{"arguments": {spelling}, "name": "add"}}'
        return f"For the {number}th time:\n```tool_call\n{block}\n```"

    report = await Agent(Talker(say), ledger.tools, votes={"writes": 3}).run("Add.", redis=redis_url)
    assert (report.status, ledger.entries) == ("answered", [2])
    assert (report.report.votes, report.report.contested) == (3 + 1, 0)


async def test_a_turn_with_a_writing_call_needs_the_votes_of_writes_and_a_reading_one_its_own(
    redis_url: str,
) -> None:
    ledger = Ledger()
    model = script(call("total"), call("add", amount=1), "done")
    report = await Agent(model, ledger.tools, votes={"reads": 2, "add": 4}).run("Add.", redis=redis_url)
    assert (report.status, report.report.votes) == ("answered", 2 + 4 + 1)


@pytest.mark.parametrize(("answer", "entries"), [("yes", [7]), ("no", [])])
async def test_a_person_is_asked_before_a_call_that_needs_one(
    redis_url: str, answer: str, entries: list[int]
) -> None:
    ledger = Ledger()
    agent = Agent(script(call("add", amount=7), "done"), ledger.tools, votes={"add": "person"})
    report = await agent.run("Add.", redis=redis_url, job="asked")
    assert report.question is not None
    assert report.question["question"] == 'turn 1: may add({"amount":7}) be called?'
    assert (report.status, ledger.entries) == ("asking", [])
    await surefoot.decide("asked", answer, question=report.question["id"], redis=redis_url)
    report = await agent.run("Add.", redis=redis_url, job="asked")
    assert (report.status, ledger.entries) == ("answered", entries)


async def test_a_person_can_end_a_run(redis_url: str) -> None:
    agent = Agent(script(call("add", amount=7), "done"), Ledger().tools, votes={"writes": "person"})
    report = await agent.run("Add.", redis=redis_url, job="ended")
    assert report.question is not None
    await surefoot.decide("ended", "stop", question=report.question["id"], redis=redis_url)
    report = await agent.run("Add.", redis=redis_url, job="ended")
    assert (report.status, report.report.solved) == ("refused", False)


@pytest.mark.parametrize(("answer", "entries"), [("unknown", 1), ("repeat", 2)])
async def test_a_call_that_was_interrupted_is_never_made_twice_in_silence(
    redis_url: str, answer: str, entries: int
) -> None:
    done: list[str] = []
    going = asyncio.Event()

    @surefoot.tool(effect="irreversible")
    async def order(what: str) -> str:
        """Order something."""
        done.append(what)
        if len(done) == 1:
            going.set()
            await asyncio.Event().wait()
        return "ordered"

    model = script(call("order", what="tea"), "done")
    agent = Agent(model, [order])
    running = asyncio.create_task(agent.run("Order tea.", redis=redis_url, job="order"))
    await going.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    report = await agent.run("Order tea.", redis=redis_url, job="order")
    assert (report.status, done) == ("asking", ["tea"])
    assert report.question is not None
    await surefoot.decide("order", answer, question=report.question["id"], redis=redis_url)
    report = await agent.run("Order tea.", redis=redis_url, job="order")
    assert (report.status, done) == ("answered", ["tea"] * entries)
    told = model.asked[-1].prompt[-1].content  # type: ignore[index,union-attr]
    assert ("Nobody knows" in told) == (answer == "unknown")


async def test_a_repeatable_call_that_was_interrupted_is_made_again(redis_url: str) -> None:
    looked: list[int] = []
    going = asyncio.Event()

    @surefoot.tool(effect="reads")
    async def look() -> str:
        """Look."""
        looked.append(1)
        if len(looked) == 1:
            going.set()
            await asyncio.Event().wait()
        return "seen"

    agent = Agent(script(call("look"), "done"), [look])
    running = asyncio.create_task(agent.run("Look.", redis=redis_url, job="look"))
    await going.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (await agent.run("Look.", redis=redis_url, job="look")).status == "answered"
    assert len(looked) == 2


async def test_a_conversation_that_no_longer_fits_is_cut_then_summed_up_and_the_goal_stays(
    redis_url: str,
) -> None:
    """The journal has all of it."""

    @surefoot.tool(effect="reads")
    async def page(number: int) -> str:
        """Read a page."""
        return f"page {number} " + "x" * 5000

    pages = 60

    def say(chat: Sequence[Message], number: int) -> str:
        if chat[-1].content.startswith("The conversation no longer fits"):
            return f"I have read pages up to {seen[-1]}."
        seen.append(seen[-1] + 1)
        return call("page", number=seen[-1]) if seen[-1] < pages else "read"

    seen = [0]
    model = Talker(say)
    window = 5000
    report = await Agent(model, [page], window=window + 4096).run("Read all the pages.", redis=redis_url)
    assert (report.status, report.turns) == ("answered", pages)
    longest = max(sum(len(message.content) for message in ask.prompt) for ask in model.asked)  # type: ignore[union-attr]
    assert longest < 3 * window
    assert all(ask.prompt[1] == Message("user", "Read all the pages.") for ask in model.asked)  # type: ignore[union-attr]
    last = model.asked[-1].prompt
    assert "I have read pages up to" in last[2].content  # type: ignore[union-attr]
    assert "characters left out" in "".join(message.content for message in last)  # type: ignore[union-attr]


async def test_the_monitor_takes_an_early_end_back_and_wants_a_call(redis_url: str) -> None:
    """An agent that has seen nothing says that it is done; told to look, it does."""
    ledger = Ledger()

    def say(chat: Sequence[Message], number: int) -> str:
        if any(message.role == "tool" for message in chat):
            return "The sum is 0."
        must = model.asked[-1].offer is not None and model.asked[-1].offer.choice == "required"
        return call("total") if must else "It is surely right."

    model = Talker(say)
    report = await Agent(model, ledger.tools, monitor=Policy()).run("Check the sum.", redis=redis_url)
    assert (report.status, report.result, report.interventions) == ("answered", "The sum is 0.", 3)
    assert [(turn.turn, turn.act) for turn in report.watched] == [
        *((1, "Nudge"), (2, "CutBudget"), (3, "ForceToolCall"), (4, ""), (5, "")),
    ]
    assert {turn.pattern for turn in report.watched[:3]} == {"premature_disengagement"}
    assert all(turn.level >= 6 for turn in report.watched[:3])
    # Turns 2 to 4 are there because what came before was not taken for the end.
    assert report.extra_tokens == sum(turn.tokens or 0 for turn in report.watched[1:4]) > 0
    shares = [ask.offer.thinking for ask in model.asked if ask.offer is not None]
    assert shares == [1, 1, 0.5, 0.5, 0.5]
    told = [ask.prompt[-1].content for ask in model.asked if ask.prompt[-1].role == "user"]  # type: ignore[union-attr]
    assert told[1] == NUDGES["premature_disengagement"]
    assert told[2].endswith("Think in no more than 50% of the words that you have used so far.")
    unwatched = await Agent(model, ledger.tools).run("Check the sum.", redis=redis_url)
    assert (unwatched.interventions, unwatched.watched, unwatched.extra_tokens) == (0, (), 0)


async def test_a_turn_that_ends_the_run_is_among_those_that_the_monitor_has_cost(redis_url: str) -> None:
    """It is not looked at, but paid for: an end was taken back before it."""

    @surefoot.tool(effect="irreversible")
    async def submit() -> Observed:
        """Hand in the work."""
        return Observed("done", ends=True)

    model = script("It is surely right.", call("submit"))
    report = await Agent(model, [submit], monitor=Policy()).run("Check the sum.", redis=redis_url)
    assert (report.status, report.turns, report.interventions) == ("submitted", 2, 1)
    assert [(turn.turn, turn.act, turn.level is None) for turn in report.watched] == [
        *((1, "Nudge", False), (2, "", True)),
    ]
    assert report.extra_tokens == report.watched[1].tokens


async def test_the_monitor_ends_a_run_that_no_intervention_helps(redis_url: str) -> None:
    model = script("It is surely right.")
    report = await Agent(model, Ledger().tools, monitor=Policy()).run("Check the sum.", redis=redis_url)
    assert (report.status, report.report.solved, report.interventions) == ("overthinking", False, 5)
    # The turn that was taken back is not shown again.
    assert [turns_of(ask.prompt) for ask in model.asked] == [0, 1, 2, 3, 3]  # type: ignore[arg-type]


def test_thoughts_in_a_text_never_enter_the_journal() -> None:
    task = AgentTask("Think.", world=Nowhere())
    read = task.read("<think>secret</think>\nThe answer.", Conversation())
    assert read == DecidedCalls((), "The answer.", "The answer.")
    assert task.read("secret without an opening</think>Yes.", Conversation()).prose == "Yes."  # type: ignore[union-attr]


async def test_what_was_written_is_cut_from_old_calls_and_they_stay_calls(redis_url: str) -> None:
    @surefoot.tool(effect="writes")
    async def write(name: str, text: str) -> str:
        """Write a text."""
        written.append(len(text))
        return "written"

    written: list[int] = []
    answers = [call("write", name=f"file {number}", text="z" * 2500) for number in range(12)]
    model = script(*answers, "done")
    report = await Agent(model, [write], window=12_000).run("Write twelve files.", redis=redis_url)
    assert (report.status, written) == ("answered", [2500] * 12)
    *_, last = model.asked
    shown = [read_calls(message.content)[1] for message in last.prompt if message.role == "assistant"]  # type: ignore[union-attr]
    texts = [from_json(made.arguments)["text"] for calls in shown for made in calls]
    assert "characters left out" in texts[0]
    assert texts[-1] == "z" * 2500


@pytest.mark.parametrize(
    ("text", "decided"),
    [
        # What stands in a call is no thought.
        (call("write", text="if '</think>' in line: pass"), "write"),
        # What is only thought, or quoted, is not called.
        ("<think>I could\n" + call("write", text="x") + "\n</think>No.", "No."),
        ("I could\n" + call("write", text="x") + "\n</think>\nNo.", "No."),
        ("Like this:\n````markdown\n" + call("write", text="x") + "\n````\nbut not now.", ""),
        # What means to be a call and is none does not pass for an answer.
        ('```tool_call {"name": "write"}\n```', ""),
        ('<tool_call>{"name": "write"}</tool_call>', ""),
        ("~~~tool_call\n{}\n~~~", ""),
    ],
)
def test_what_is_called_is_what_the_model_says_outside_of_thoughts_and_quotes(
    text: str, decided: str
) -> None:
    read = AgentTask("Go.", world=Nowhere()).read(text, Conversation())
    assert isinstance(read, DecidedCalls)
    assert (read.calls[0].name if read.calls else read.prose) == decided


@pytest.mark.parametrize(
    "text",
    ["<think>only a thought", "<think>\n" + call("write", text="x"), "half \ud800", "x" * 1_000_001],
    ids=["thought", "call", "half", "long"],
)
def test_what_is_no_answer_is_thrown_away(text: str) -> None:
    with pytest.raises(surefoot.NotAnAnswer):
        AgentTask("Go.", world=Nowhere()).read(text, Conversation())


@pytest.mark.parametrize(
    "returned",
    ["\ud800", "\0" * 1_000_000, "x" * 10_000_000, 10**5000, None],
    ids=["half", "nothing", "long", "code", "none"],
)
async def test_whatever_a_tool_of_ones_own_returns_or_raises_becomes_an_observation(
    redis_url: str, returned: Any
) -> None:
    class Odd:
        name, description, effect, repeatable = "odd", "Be odd.", "writes", False
        arguments = create_model("None")

        async def call(self, arguments: BaseModel, world: object) -> Observed:
            called.append(1)
            if len(called) == 2:
                raise OSError("no space left")
            if len(called) == 3:
                task = asyncio.create_task(asyncio.sleep(60))
                task.cancel()
                await task
            if len(called) == 4:
                raise ToolFailed("q" * 5_000_000)
            code = returned if isinstance(returned, int) else None
            return Observed(returned if isinstance(returned, str) else "", code, ends=1)  # type: ignore[arg-type]

        def normal(self, arguments: BaseModel) -> BaseModel:
            return arguments

    called: list[int] = []
    model = script(*[call("odd")] * 4, "done")
    report = await Agent(model, [Odd()]).run("Be odd.", redis=redis_url)  # type: ignore[list-item]
    assert (report.status, len(called)) == ("answered", 4)
    told = [message.content for message in model.asked[-1].prompt if message.role == "tool"]  # type: ignore[union-attr]
    assert "OSError" in told[1]
    assert told[2] == "odd was cancelled from inside"


async def test_a_person_sees_all_of_a_call_and_nothing_in_it_hides(redis_url: str) -> None:
    @surefoot.tool(effect="writes")
    async def run(command: str) -> str:
        """Run a command."""
        return ""

    command = "echo " + "x" * 1500 + "; rm everything \x9b2J\u202e; " + "y" * 1500
    agent = Agent(script(call("run", command=command), "done"), [run], votes={"writes": "person"})
    report = await agent.run("Run.", redis=redis_url)
    assert report.question is not None
    assert "rm everything \\x9b2J\\u202e" in report.question["question"]
    # Nobody is asked about what cannot be called.
    agent = Agent(script(call("run", command=3), "done"), [run], votes={"writes": "person"})
    assert (await agent.run("Run.", redis=redis_url)).status == "answered"


async def test_turns_window_and_instructions_may_differ_when_a_run_is_taken_up(redis_url: str) -> None:
    tools = Ledger().tools
    model = script(*[call("total")] * 9, "done")
    first = Agent(model, tools, budget=Budget(turns=4))
    assert (await first.run("Look.", redis=redis_url, job="look")).status == "turn_limit"
    more = Agent(model, tools, budget=Budget(turns=40), window=20_000, instructions="Look well.")
    report = await more.run("Look.", redis=redis_url, job="look")
    assert (report.status, report.turns, report.calls) == ("answered", 10, 9)


async def test_other_tools_of_the_same_name_are_refused(redis_url: str) -> None:
    @surefoot.tool(effect="reads")
    async def add(amount: int) -> str:
        """Add, only in name."""
        return ""

    model = script(call("add", amount=1), "done")
    await Agent(model, Ledger().tools[:1], budget=Budget(steps=1)).run("Add.", redis=redis_url, job="add")
    with pytest.raises(BadInput, match="was started as agent"):
        await Agent(model, [add]).run("Add.", redis=redis_url, job="add")


async def test_an_answer_in_other_words_is_not_voted_to_death(redis_url: str) -> None:
    ledger = Ledger()

    def say(chat: Sequence[Message], number: int) -> str:
        return f"Done, the {number}th way." if turns_of(chat) else call("add", amount=1)

    report = await Agent(Talker(say), ledger.tools, votes=3).run("Add.", redis=redis_url)
    assert (report.status, report.report.votes) == ("answered", 3 + 1)


async def test_a_summary_that_is_a_call_leaves_the_old_turns_out(redis_url: str) -> None:
    @surefoot.tool(effect="reads")
    async def page(number: int) -> str:
        """Read a page."""
        return "x" * 3000

    def say(chat: Sequence[Message], number: int) -> str:
        pages.append(1)
        return call("page", number=1) if len(pages) < 40 else "read"

    pages: list[int] = []
    report = await Agent(Talker(say), [page], window=9000).run("Read.", redis=redis_url)
    assert report.status == "answered"
    assert report.turns < 40


def test_a_state_grows_no_longer_than_its_window() -> None:
    task = AgentTask("Look.", Ledger().tools, world=Nowhere(), turns=10**6, window=4096 + 3000)
    state = task.start()
    for _ in range(500):
        state = task.advance(state, DecidedCalls((Call("total", "{}"),), "I look."))
        state = task.advance(state, Seen("y" * 3000))
        if state.crowded:
            state = task.advance(state, task.read("I looked often.", state))
        assert size(state) < 3 * 3000
        assert size(state) == size(replace(state, earlier=None))  # counted as it grows, or all at once
    assert state.turn == 500


def test_what_a_turn_keeps_of_itself_is_no_part_of_it() -> None:
    task = AgentTask("Look.", Ledger().tools, world=Nowhere())
    state = task.advance(task.start(), DecidedCalls((Call("total", "{}"),), "I look."))
    fresh = STATES.decode(STATES.encode(state))
    assert size(state) and task.ask(state)
    assert (state, hash(state), STATES.encode(state)) == (fresh, hash(fresh), STATES.encode(fresh))
    later = task.advance(state, Seen("y" * 100))
    assert size(later) == size(task.advance(fresh, Seen("y" * 100))) > size(state) + 100
    assert [message.role for message in task.ask(later)] == ["system", "user", "assistant", "tool"]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"goal": " "}, "needs a goal"),
        ({"votes": {"ad": 2}}, "votes for 'ad': there is no such tool or effect"),
        ({"votes": {"add": 0}}, "a whole number from 1 to 50 or 'person', not 0"),
        ({"votes": {"add": True}}, "or 'person', not True"),
        ({"votes": {"add": 1000}}, "from 1 to 50"),
        ({"tools": "twice"}, "two tools have one name"),
        ({"tools": "effect"}, "a tool cannot be called 'reads', like an effect"),
        ({"goal": "Add. " * 20_000}, "a window of 32,000 tokens is too small for this agent"),
    ],
)
async def test_what_contradicts_itself_is_refused_before_anything_is_asked(
    made: dict[str, Any], said: str
) -> None:
    @surefoot.tool(effect="irreversible")
    def reads() -> str:
        """Is called like an effect."""
        return ""

    add, total = Ledger().tools
    tools = {"twice": [add, add], "effect": [reads]}.get(made.get("tools", ""), [add, total])
    model = script("never")
    with pytest.raises(BadInput, match=said):
        agent = Agent(model, tools, votes=made.get("votes", 1))
        await agent.run(made.get("goal", "Add."), redis="unix:///nowhere")
    assert not model.asked

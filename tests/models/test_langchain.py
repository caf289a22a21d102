"""`VotedChatModel` over a chat model that is wrong in one sample of five: answers, calls, forms, agents."""

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler, get_usage_metadata_callback
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from pydantic import BaseModel, Field

from surefoot import BadInput, Stalled
from surefoot.models import Ask, Call, read_calls, write_calls
from surefoot.models.doubles import Double
from surefoot.models.elected_answers import AnswerStalled
from surefoot.models.langchain import VotedChatModel

PARIS, ROME = (write_calls("", [Call("weather", f'{{"town":"{town}"}}')]) for town in ("Paris", "Rome"))


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def weather(town: str) -> str:
    """Tell the weather in a town."""
    return f"sunny in {town}"


class Doubled(BaseChatModel):
    """A double as a chat model: right, or wrong one time in five.  What it says of a call becomes one."""

    right: str = "42"
    wrong: str = "41"
    error: float = 0.2
    seeds: Any = Field(default_factory=count)
    temperature: float | None = None
    seed: int | None = None
    said: dict[str, Any] = Field(default_factory=dict)
    """What it says besides, as providers do."""
    drawn: list[dict[str, Any]] = Field(default_factory=list)
    """What each sample was asked with."""

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        right, wrong = self.right, self.wrong
        if messages[-1].type == "tool":
            right, wrong = messages[-1].text, "I do not know."
        self.drawn.append(kwargs)
        double = Double(lambda prompt: right, lambda prompt, which: wrong, error=self.error)
        text, calls = read_calls(double.draw(Ask(messages[-1].text, 0.7, 100, next(self.seeds))).text)
        message = AIMessage(
            text,
            tool_calls=[
                {"name": name, "args": Person.model_validate_json(said).model_dump() if name == "Person" else {"town": said[9:-2]}, "id": "1"}
                for name, said in calls
            ],
            usage_metadata={"input_tokens": 10, "output_tokens": 2, "total_tokens": 12, "output_token_details": {"reasoning": 1}},
            response_metadata={"model_name": "doubled", "token_usage": {"total_tokens": 12}},
        )  # fmt: skip
        return ChatResult(generations=[ChatGeneration(message=message, generation_info=self.said)])

    def bind_tools(self, tools: Any, *, tool_choice: Any = None, **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(each) for each in tools], **kwargs)

    @property
    def _llm_type(self) -> str:
        return "doubled"


def summary(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = message.response_metadata["surefoot"]
    return found


async def test_every_answer_is_elected_and_says_what_it_took() -> None:
    model = Doubled()
    voted = VotedChatModel(model, votes=8, limit=100, accuracy=0.8)
    answers = [await voted.ainvoke(f"What is six times seven?  {number}") for number in range(40)]
    assert {answer.content for answer in answers} == {"42"}
    assert all(summary(answer)["margin"] == 8 and summary(answer)["vote"] == "any" for answer in answers)
    assert 0 < summary(answers[0])["risk"] < 0.0001
    samples = [summary(answer)["samples"] for answer in answers]
    assert sum(samples) == len(model.drawn) > 8 * 40
    for answer, drawn in zip(answers, samples, strict=True):
        assert answer.usage_metadata == {
            "input_tokens": 10 * drawn,
            "output_tokens": 2 * drawn,
            "total_tokens": 12 * drawn,
            "output_token_details": {"reasoning": drawn},
        }
    assert answers[0].response_metadata["model_name"] == "doubled"
    assert "token_usage" not in answers[0].response_metadata  # that of one sample would be taken for the bill


async def test_a_blocking_call_is_elected_too_beside_a_loop_that_runs() -> None:
    voted = VotedChatModel(Doubled(), votes=8, limit=100)
    assert voted.invoke("What is six times seven?").content == "42"
    assert [answer.content for answer in voted.batch(["6 * 7?", "7 * 6?"])] == ["42", "42"]


async def test_no_vote_is_claimed_on_prose() -> None:
    model = Doubled(right="Hello! How can I help you today?", wrong="Hello, what may I do for you?")
    answer = await VotedChatModel(model).ainvoke("Hello")
    assert summary(answer)["vote"] is None and summary(answer)["samples"] == 1 == len(model.drawn)


async def test_a_stall_is_an_error_that_fallbacks_can_take_up() -> None:
    numbers = (str(number) for number in count())

    class Divided(Doubled):
        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            self.right = next(numbers)
            return super()._generate(*args, **kwargs)

    voted = VotedChatModel(Divided(error=0), votes=2, limit=6, equality="number")
    with pytest.raises(
        AnswerStalled, match=r"no answer leads by 2 votes after 6 samples \(different ones: 6;"
    ) as caught:
        await voted.ainvoke("Which number?")
    assert caught.value.usage.total == 6 * 12 and len(caught.value.examples) == 5
    rescued = voted.with_fallbacks(
        [RunnableLambda(lambda asked: "a person")], exceptions_to_handle=(Stalled,)
    )
    assert await rescued.ainvoke("Which number?") == "a person"


def agent_of(model: BaseChatModel) -> Any:
    """The agent of LangGraph: model, tools, model, until no call is made."""
    bound = model.bind_tools([weather])
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": bound.invoke(state["messages"])})
    graph.add_node("tools", ToolNode([weather]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph.compile()


def test_an_agent_of_langgraph_makes_the_calls_that_were_voted_for() -> None:
    """Alone the model looks at the wrong town now and then; what it says about a result is prose, and takes no vote."""
    alone: set[str] = set()
    elected: set[str] = set()
    for seed in range(0, 1000, 100):
        for towns, model in (
            (alone, Doubled(right=PARIS, wrong=ROME, seeds=count(seed))),
            (
                elected,
                VotedChatModel(Doubled(right=PARIS, wrong=ROME, seeds=count(seed)), votes=8, limit=100),
            ),
        ):
            said = agent_of(model).invoke({"messages": [HumanMessage("How is the weather in Paris?")]})[
                "messages"
            ]
            assert [message.type for message in said] == ["human", "ai", "tool", "ai"]
            towns.add(said[1].tool_calls[0]["args"]["town"])
    assert alone == {"Paris", "Rome"} and elected == {"Paris"}


async def test_calls_are_compared_by_their_arguments() -> None:
    voted = VotedChatModel(Doubled(right=PARIS, wrong=ROME), votes=3, limit=60)
    called = await voted.bind_tools([weather]).ainvoke("How is the weather in Paris?")
    assert called.tool_calls[0]["args"] == {"town": "Paris"}
    assert summary(called)["vote"] == "calls" and sum(summary(called)["tally"]) == summary(called)["samples"]
    anthropic = {
        "name": "weather",
        "input_schema": {"type": "object", "properties": {"town": {"type": "string"}}},
    }
    assert summary(await voted.ainvoke("How is it in Paris?", tools=[anthropic]))["vote"] == "calls"
    search = {"type": "web_search_20250305", "name": "web_search"}  # of Anthropic's, which runs there
    assert summary(await voted.ainvoke("How is it in Paris?", tools=[anthropic, search]))["vote"] == "calls"
    nobody = {"type": "function", "function": {"name": "other", "parameters": {"type": "object"}}}
    with pytest.raises(AnswerStalled, match="malformed: 60"):
        await voted.ainvoke("How is it in Paris?", tools=[nobody])


@pytest.mark.parametrize(
    "choice", ["any", True, "weather", {"type": "tool", "name": "weather"}, {"type": "any"}]
)
async def test_an_answer_in_place_of_a_call_that_must_be_made_is_thrown_away(choice: Any) -> None:
    voted = VotedChatModel(Doubled(right=PARIS, wrong="It is sunny.", error=0.5), votes=3, limit=60)
    called = await voted.bind_tools([weather], tool_choice=choice).ainvoke("How is the weather in Paris?")
    assert called.tool_calls and summary(called)["flags"]["malformed"] > 0


def test_a_model_that_is_none_with_tools_is_refused() -> None:
    class Chained(Doubled):
        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return RunnableLambda(lambda asked: asked) | self

    with pytest.raises(BadInput, match="Chained with tools is no chat model, but a RunnableSequence"):
        VotedChatModel(Chained()).bind_tools([weather])


async def test_a_form_is_filled_in_by_vote() -> None:
    forms = [write_calls("", [Call("Person", f'{{"name":"Ada","age":{age}}}')]) for age in (36, 3)]
    model = Doubled(right=forms[0], wrong=forms[1])
    voted = VotedChatModel(model, votes=8, limit=100)
    for _ in range(20):
        assert await voted.with_structured_output(Person).ainvoke("Who?") == Person(name="Ada", age=36)
    raw: Any = await voted.with_structured_output(Person, include_raw=True).ainvoke("Who?")
    assert summary(raw["raw"])["vote"] == "calls" and raw["parsed"].age == 36


@pytest.mark.parametrize(
    "form",
    [
        Person,
        {"type": "json_schema", "json_schema": {"name": "person", "schema": Person.model_json_schema()}},
        {"type": "json_object"},
    ],
)
async def test_json_is_compared_by_its_value(form: Any) -> None:
    model = Doubled(right='{"name": "Ada", "age": 36}', wrong='{"name": "Ada"}', error=0.4)
    voted, flagged = VotedChatModel(model, votes=3, limit=60), 0
    for _ in range(5):
        answer = await voted.ainvoke("Who?", response_format=form)
        assert summary(answer)["vote"] == "json" and answer.content == model.right
        flagged += summary(answer)["flags"].get("malformed", 0)
    assert (flagged > 0) is (form != {"type": "json_object"})


@pytest.mark.parametrize(
    "said", [{"finish_reason": "length"}, {"stop_reason": "max_tokens"}, {"status": "incomplete"}]
)
async def test_what_was_cut_off_is_thrown_away(said: dict[str, str]) -> None:
    with pytest.raises(AnswerStalled, match="too long: 22"):
        await VotedChatModel(Doubled(said=said)).ainvoke("6 * 7?")
    ended = Doubled(said={"stop_reason": "end_turn"}, error=0)
    assert summary(await VotedChatModel(ended).ainvoke("6 * 7?"))["samples"] == 3


async def test_callbacks_and_caches_see_one_call_with_the_whole_bill(cached: None) -> None:
    class Calls(BaseCallbackHandler):
        began = ended = 0

        def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
            self.began += 1

        def on_llm_end(self, *args: Any, **kwargs: Any) -> None:
            self.ended += 1

    model, calls = Doubled(), Calls()
    voted = VotedChatModel(model, votes=3, limit=60)
    with get_usage_metadata_callback() as usage:
        answer = await voted.ainvoke("6 * 7?", {"callbacks": [calls]})
    assert (calls.began, calls.ended) == (1, 1)
    assert usage.usage_metadata == {"doubled": answer.usage_metadata}
    drawn = len(model.drawn)
    assert drawn == summary(answer)["samples"] >= 3  # samples from a cache would all have been the first one
    again = await voted.ainvoke("6 * 7?")
    assert again.content == "42" and len(model.drawn) == drawn
    await VotedChatModel(model, votes=2, limit=60).ainvoke("6 * 7?")
    assert len(model.drawn) > drawn  # an answer of another vote is another answer


@pytest.fixture
def cached() -> Iterator[None]:
    """Let LangChain cache whatever it can."""
    from langchain_core.caches import InMemoryCache
    from langchain_core.globals import get_llm_cache, set_llm_cache

    before = get_llm_cache()
    set_llm_cache(InMemoryCache())
    yield
    set_llm_cache(before)


async def test_a_stream_is_the_elected_answer_in_one_chunk() -> None:
    voted = VotedChatModel(Doubled(), votes=8, limit=100)
    (chunk,) = [chunk async for chunk in voted.astream("6 * 7?")]
    assert chunk.content == "42" and summary(chunk)["margin"] == 8
    (chunk,) = voted.stream("6 * 7?")
    assert chunk.content == "42"


async def test_whoever_gives_up_takes_the_samples_along() -> None:
    started, ended = asyncio.Semaphore(0), []

    class Slow(Doubled):
        async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
            started.release()
            try:
                await asyncio.Event().wait()
                raise AssertionError
            finally:
                ended.append(True)

    asking = asyncio.create_task(VotedChatModel(Slow(), equality="number").ainvoke("6 * 7?"))
    for _ in range(3):
        await started.acquire()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert len(ended) == 3


async def test_the_errors_and_limits_of_the_wrapped_model_hold() -> None:
    class Away(Doubled):
        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            raise ConnectionError("away")

    with pytest.raises(ConnectionError, match="away"):
        await VotedChatModel(Away()).ainvoke("6 * 7?")

    from langchain_core.rate_limiters import BaseRateLimiter

    class Turns(BaseRateLimiter):
        taken = 0

        def acquire(self, *, blocking: bool = True) -> bool:
            self.taken += 1
            return True

        async def aacquire(self, *, blocking: bool = True) -> bool:
            return self.acquire(blocking=blocking)

    turns = Turns()
    model = Doubled(rate_limiter=turns)
    voted = VotedChatModel(model, votes=3, limit=60)
    await voted.ainvoke("6 * 7?")
    voted.invoke("6 * 7?")
    assert turns.taken == len(model.drawn) >= 6


@pytest.mark.parametrize(
    ("made", "asked", "why"),
    [
        ({"temperature": 0}, {}, "temperature 0"),
        ({"temperature": 0.7}, {"temperature": 0.0}, "temperature 0"),
        ({"seed": 1}, {}, "one seed"),
    ],
)
async def test_samples_that_are_copies_are_refused(made: Any, asked: Any, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        await VotedChatModel(Doubled(**made)).ainvoke("6 * 7?", **asked)
    assert (await VotedChatModel(Doubled(**made), votes=1).ainvoke("6 * 7?", **asked)).content


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"votes": 0}, "votes, the lead that decides, lie between 1 and 100, not 0"),
        ({"limit": 2}, "the limit of samples lies between the 3 votes"),
        ({"equality": "same"}, "equality"),
        ({"accuracy": 0.2}, "accuracy is a share"),
        ({"votes": "3"}, "votes of VotedChatModel must be of type"),
        ({"wrapped": "gpt-5"}, "wrapped of VotedChatModel must be of type"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(settings: Any, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        VotedChatModel(**{"wrapped": Doubled(), **settings})

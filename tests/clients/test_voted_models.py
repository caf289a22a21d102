"""Models of other people's frameworks with every answer elected, over a server whose model is wrong in one sample of five.

`make test-clients`, in a virtual environment of their own.
"""

from typing import Any

import pytest
from pydantic import BaseModel

from surefoot import BadInput, Stalled

pytestmark = pytest.mark.clients
QUESTION = "What is six times seven?"
ABOUT = "Who wrote the first program?  Answer in JSON."


class Person(BaseModel):
    """A person."""

    name: str
    age: int


ADA = Person(name="Ada", age=36)


def test_langchain(place: Any) -> None:
    agents, langchain = pytest.importorskip("langchain.agents"), pytest.importorskip("langchain_openai")
    from surefoot.models.langchain import VotedChatModel

    chat = langchain.ChatOpenAI(model="double", base_url=place.behind, api_key="none", temperature=0.7)
    voted = VotedChatModel(chat, votes=8, limit=100)
    answer = voted.invoke(QUESTION)
    said = answer.response_metadata
    assert answer.content == "42" and said["surefoot"]["margin"] == 8 and said["model_name"]
    assert answer.usage_metadata["total_tokens"] > 0 == said["surefoot"]["uncounted"]
    assert voted.invoke(QUESTION).content == "42"  # in another loop: a client's connections belong to one
    assert voted.with_structured_output(Person).invoke(ABOUT) == ADA
    bound = chat.bind(
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "person", "schema": Person.model_json_schema()},
        }
    )
    assert voted.bind(**bound.kwargs).invoke(ABOUT).response_metadata["surefoot"]["vote"] == "json"

    def weather(town: str) -> str:
        """Tell the weather in a town."""
        assert town == "Paris"
        return "sunny"

    done = agents.create_agent(voted, [weather]).invoke(
        {"messages": [("user", "How is the weather in Paris?")]}
    )
    assert done["messages"][-1].content == "It is sunny there."
    filled = agents.create_agent(voted, response_format=Person).invoke({"messages": [("user", ABOUT)]})
    assert filled["structured_response"] == ADA


async def test_pydantic_ai(place: Any) -> None:
    ai = pytest.importorskip("pydantic_ai")
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    from surefoot.models.pydantic_ai import VotedModel

    model = OpenAIChatModel("double", provider=OpenAIProvider(base_url=place.behind, api_key="none"))
    voted = VotedModel(model, votes=8, limit=100, accuracy=0.8)
    done = await ai.Agent(voted).run(QUESTION)
    response = done.all_messages()[-1]
    summary = response.metadata["surefoot"]
    assert done.output == "42" and summary["margin"] == 8 and 0 < summary["risk"] < 0.0001
    alone = (await ai.Agent(model).run(QUESTION)).usage
    assert done.usage.requests == 1 and done.usage.input_tokens == summary["samples"] * alone.input_tokens
    for wanted in (Person, ai.NativeOutput(Person)):
        assert (await ai.Agent(voted, output_type=wanted).run(ABOUT)).output == ADA
    async with ai.Agent(voted).run_stream(QUESTION) as streamed:
        assert [text async for text in streamed.stream_text()] == ["42"]
    agent = ai.Agent(voted)

    @agent.tool_plain
    def weather(town: str) -> str:
        """Tell the weather in a town."""
        assert town == "Paris"
        return "sunny"

    assert (await agent.run("How is the weather in Paris?")).output == "It is sunny there."
    with pytest.raises(Stalled, match="no answer leads by 9 votes after 9 samples"):
        await ai.Agent(VotedModel(model, votes=9, limit=9, equality="number")).run(QUESTION)
    with pytest.raises(BadInput, match="temperature 0"):
        await ai.Agent(voted, model_settings={"temperature": 0.0}).run(QUESTION)

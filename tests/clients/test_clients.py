"""Other people's clients against the voting proxy, unchanged: each gets the elected answer of a model that is wrong in one sample of five.

`make test-clients`, in a virtual environment of their own.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

pytestmark = pytest.mark.clients
QUESTION = "What is six times seven?"
ABOUT = "Who wrote the first program?  Answer in JSON."
ASKED = [{"role": "user", "content": QUESTION}]


class Person(BaseModel):
    """A person."""

    name: str
    age: int


ADA = Person(name="Ada", age=36)


def test_openai(place: Any) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=place.url, api_key="none")
    answer = client.chat.completions.create(model="voted", messages=ASKED)
    assert answer.choices[0].message.content == "42"
    assert answer.model_extra["surefoot"]["margin"] == 8
    stream = client.chat.completions.create(
        model="voted", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "42"
    assert chunks[-1].usage.total_tokens > 0
    parsed = client.chat.completions.parse(
        model="voted", messages=[{"role": "user", "content": ABOUT}], response_format=Person
    )
    assert parsed.choices[0].message.parsed == ADA
    own = {"surefoot": {"votes": 10, "limit": 100, "equality": "number"}}
    answer = client.chat.completions.create(model="voted", messages=ASKED, extra_body=own)
    assert answer.model_extra["surefoot"]["margin"] == 10
    assert client.completions.create(model="voted", prompt=QUESTION).choices[0].text == "42"
    assert client.responses.create(model="voted", input=QUESTION).output_text == "42"
    answered = client.responses.parse(model="voted", input=ABOUT, text_format=Person)
    assert answered.output_parsed == ADA


async def test_langchain(place: Any) -> None:
    langchain = pytest.importorskip("langchain_openai")
    chat = langchain.ChatOpenAI(model="voted", base_url=place.url, api_key="none")
    assert chat.invoke(QUESTION).content == "42"
    assert "".join([chunk.text async for chunk in chat.astream(QUESTION)]) == "42"
    for method in ("json_schema", "function_calling"):
        assert chat.with_structured_output(Person, method=method).invoke(ABOUT) == ADA

    newer = langchain.ChatOpenAI(model="voted", base_url=place.url, api_key="none", use_responses_api=True)
    assert newer.invoke(QUESTION).text == "42"

    def weather(town: str) -> str:
        """Tell the weather in a town."""
        return "sunny"

    called = chat.bind_tools([weather]).invoke("How is the weather in Paris?")
    assert [(call["name"], call["args"]) for call in called.tool_calls] == [("weather", {"town": "Paris"})]


async def test_pydantic_ai(place: Any) -> None:
    ai = pytest.importorskip("pydantic_ai")
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel("voted", provider=OpenAIProvider(base_url=place.url, api_key="none"))
    assert (await ai.Agent(model).run(QUESTION)).output == "42"
    assert (await ai.Agent(model, output_type=Person).run(ABOUT)).output == ADA
    assert (await ai.Agent(model, output_type=ai.NativeOutput(Person)).run(ABOUT)).output == ADA
    async with ai.Agent(model).run_stream(QUESTION) as streamed:
        assert await streamed.get_output() == "42"
    agent = ai.Agent(model)

    @agent.tool_plain
    def weather(town: str) -> str:
        """Tell the weather in a town."""
        assert town == "Paris"
        return "sunny"

    done = await agent.run("How is the weather in Paris?")
    assert done.output == "It is sunny there." and done.usage.requests == 2 and done.usage.total_tokens > 0


def test_instructor(place: Any) -> None:
    instructor, openai = pytest.importorskip("instructor"), pytest.importorskip("openai")
    for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON, instructor.Mode.JSON_SCHEMA):
        client = instructor.from_openai(openai.OpenAI(base_url=place.url, api_key="none"), mode=mode)
        found = client.chat.completions.create(
            model="voted", messages=[{"role": "user", "content": ABOUT}], response_model=Person
        )
        assert found.model_dump() == ADA.model_dump()


def test_litellm(place: Any) -> None:
    litellm = pytest.importorskip("litellm")
    at: dict[str, Any] = {"model": "openai/voted", "api_base": place.url, "api_key": "none"}
    answer = litellm.completion(messages=ASKED, **at)
    assert answer.choices[0].message.content == "42" and answer.usage.total_tokens > 0
    pieces = litellm.completion(messages=ASKED, stream=True, **at)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == "42"
    schema = {"name": "person", "schema": Person.model_json_schema(), "strict": True}
    structured = litellm.completion(
        messages=[{"role": "user", "content": ABOUT}],
        response_format={"type": "json_schema", "json_schema": schema},
        **at,
    )
    assert Person.model_validate(json.loads(structured.choices[0].message.content)) == ADA


async def test_inspect_ai(place: Any) -> None:
    pytest.importorskip("inspect_ai")
    from inspect_ai.model import get_model

    model = get_model("openai-api/surefoot/voted", base_url=place.url, api_key="none")
    assert (await model.generate(QUESTION)).completion == "42"
    newer = get_model("openai/voted", base_url=place.url, api_key="none")
    assert (await newer.generate(QUESTION)).completion == "42"


def test_mini_swe_agent(place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSWEA_SILENT_STARTUP", "1")
    monkeypatch.setenv("MSWEA_GLOBAL_CONFIG_DIR", str(tmp_path))
    pytest.importorskip("minisweagent")
    from minisweagent.agents.default import DefaultAgent
    from minisweagent.environments.local import LocalEnvironment
    from minisweagent.models.litellm_model import LitellmModel

    at = {"api_base": place.url, "api_key": "none"}
    model = LitellmModel(model_name="openai/voted", model_kwargs=at, cost_tracking="ignore_errors")
    agent = DefaultAgent(
        model,
        LocalEnvironment(cwd=str(tmp_path)),
        system_template="You repair.",
        instance_template="{{task}}",
        cost_limit=0,
    )
    assert agent.run("It fails.")["exit_status"] == "Submitted"

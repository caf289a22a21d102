"""Votes are drawn one by one, whatever stands between: a gateway that answers from a store is got past, or found out."""

from collections.abc import Sequence
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import pytest

import surefoot
from surefoot import Settings
from surefoot.agents.tasks.task import Task, Value
from surefoot.models.base import Ask, Message, Prompt, Sampling
from surefoot.models.doubles import Double, Garbage, towers_double
from surefoot.models.doubles.gateway import CachingGateway
from surefoot.models.doubles.server import DoubleServer, Feature
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.answer_cache import (
    MARKS,
    AnswerFromCache,
    Draws,
    Marks,
    Names,
    mark,
    sign_of_store,
)
from surefoot.models.openai.options import Options
from surefoot.orchestration.progress import Progress
from surefoot.voting.samples import Sample, Usage

STEPS = 300
DRAWN = Sampling(temperature=0.7, first_temperature=None, max_tokens=50)
THREE = Settings(k=3, sampling=DRAWN)


class Errands(Task[int, int]):
    """So many steps in a row, each with a right answer of its own; the state is the step, and how many were decided wrongly."""

    name = "errands"

    def __init__(self, chat: bool = False, length: int = STEPS) -> None:
        self.chat = chat
        self.length = length

    def spec(self) -> dict[str, Value]:
        return {"chat": self.chat, "length": self.length}

    def start(self) -> int:
        return 0

    def steps(self) -> int:
        return self.length

    def ask(self, state: int, view: int = 0) -> Prompt:
        text = f"errand {state % 1000} is"
        return (Message("user", text),) if self.chat else text

    def read(self, text: str, state: int, view: int = 0) -> int:
        return int(text)

    def advance(self, state: int, answer: int) -> int:
        step, wrong = state % 1000, state // 1000
        return step + 1 + 1000 * (wrong + (answer != number_of(step)))

    def finished(self, state: int) -> bool:
        return state % 1000 == self.length

    def solved(self, state: int) -> bool:
        return state == self.length


def number_of(step: int) -> int:
    return step * 7919 % 1009


def right(prompt: Prompt) -> str:
    text = prompt if isinstance(prompt, str) else prompt[-1].content
    return (
        str(number_of(int(text.split()[1])))
        if text.startswith("errand")
        else f"{len(text)} letters are all I can see in it"
    )


def wrong(prompt: Prompt, which: int) -> str:
    told = right(prompt)
    return str(int(told) + 1 + which % 7) if told.isdecimal() else told


def sloppy() -> Double:
    return Double(right, wrong, error=0.1, name="sloppy")


SINGLE: tuple[Feature, ...] = ("n", "lists")
WAYS = {
    "n": ({}, (), False),
    "one by one": ({}, SINGLE, False),
    "chat": ({}, (), True),
    "seeded": ({"seeded": True}, (), False),
    "streamed": ({"stream": True}, SINGLE, False),
}
STORES: dict[str, dict[str, Any]] = {
    "the whole body": {},
    "the whole body, and names answers anew": {"new_names": True},
    "the whole body, and heeds the headers": {"heeds": True},
    "the body but for the seed": {"keyed_without": ["seed"]},
    "the body but for the seed and the temperature, and heeds the headers": {
        "keyed_without": ["seed", "temperature"],
        "heeds": True,
    },
    "model, prompt and temperature": {
        "keyed_by": ["model", "prompt", "messages", "temperature", "stream", "n", "max_tokens"]
    },
}


SHORT = 30
TRIED = [
    pytest.param("the whole body", "one by one", STEPS, id="H1 one by one"),
    pytest.param("the whole body", "n", STEPS, id="H1 n"),
    *(pytest.param("the whole body", way, SHORT, id=f"the whole body, {way}") for way in WAYS),
    *(pytest.param(store, "one by one", SHORT, id=store) for store in STORES),
]


@pytest.mark.parametrize(("store", "way", "length"), TRIED)
async def test_no_step_is_decided_wrongly_through_a_gateway_that_stores_by(
    store: str, way: str, length: int, redis_url: str
) -> None:
    """H1: 300 steps, p(wrong) = 0.1, T = 0.7, k = 3, one view."""
    options, missing, chat = WAYS[way]
    async with (
        DoubleServer(sloppy(), without=missing) as server,
        CachingGateway(server.url, **STORES[store]) as gateway,
        OpenAIModel(gateway.url, options=Options(**options)) as model,
    ):
        task = Errands(chat, length)
        report = await surefoot.run(task, THREE, model=model, redis=redis_url)
        hits = gateway.hits
    assert report.solved
    assert report.steps == length
    assert report.contested > length / 30, "one sample in ten is wrong, so steps are contested"
    assert hits == 0


STOPPED = [
    ({"keyed_without": ["seed", "temperature"]}, "one by one", "one answer"),
    ({"keyed_without": ["seed", "temperature"]}, "chat", "one answer"),
    ({"keyed_without": ["seed", "temperature"]}, "streamed", "one answer"),
    ({"keyed_by": ["prompt", "messages"]}, "n", "one answer|single token"),
    ({"keyed_by": ["prompt", "messages"], "new_names": True}, "one by one", "single token"),
    ({"keyed_by": ["prompt", "messages"], "new_names": True}, "chat", "single token"),
    (
        {"keyed_without": ["seed", "temperature"], "new_names": True, "admits": True},
        "n",
        "x-cache-status: hit",
    ),
    ({"keyed_without": ["temperature"], "new_names": True, "admits": True}, "seeded", "x-cache-status: hit"),
]


@pytest.mark.parametrize(("store", "way", "sign"), STOPPED)
async def test_a_store_that_marks_do_not_get_past_stops_a_run_before_its_first_step(
    store: dict[str, Any], way: str, sign: str, redis_url: str
) -> None:
    options, missing, chat = WAYS[way]
    async with (
        DoubleServer(sloppy(), without=missing) as server,
        CachingGateway(server.url, **store) as gateway,
        OpenAIModel(gateway.url, options=Options(**options)) as model,
    ):
        with pytest.raises(
            AnswerFromCache, match=rf"answers from a store \(.*({sign}).*switch the gateway's cache"
        ):
            await surefoot.run(Errands(chat), THREE, model=model, redis=redis_url)
        assert not [body for body in server.bodies if "errand" in repr(body)], "nothing was spent on a step"


async def test_different_samples_that_come_again_are_a_store_whatever_they_are_called() -> None:
    async with (
        DoubleServer(Garbage()) as server,
        CachingGateway(server.url, keyed_without=["temperature"], new_names=True) as gateway,
        OpenAIModel(gateway.url) as model,
    ):
        with pytest.raises(AnswerFromCache, match="the same different samples"):
            await model.ready()


class Monotonous(Garbage):
    """A model that draws greedily whatever the temperature: always the same long text."""

    def draw(self, ask: Ask) -> Sample:
        return Sample("lorem ipsum " * 20, "length", 60, Usage(completion=ask.max_tokens))


async def test_a_model_that_never_varies_is_not_refused_but_said() -> None:
    notices: list[str] = []
    async with (
        DoubleServer(Monotonous()) as server,
        OpenAIModel(server.url, options=Options(on_notice=notices.append)) as model,
    ):
        can = await model.ready()
        assert (await drawn(model, [Ask("x", 0.7, 9, 0)]))[0].text
    assert len(notices) == 1
    assert can.notices == tuple(notices)
    assert "wrote the same 24 tokens each time" in notices[0]


@pytest.mark.parametrize("double", [towers_double(), sloppy(), Garbage()], ids=lambda double: double.name)
async def test_a_model_that_is_sure_is_neither_refused_nor_suspected(double: Any) -> None:
    notices: list[str] = []
    options = Options(on_notice=notices.append)
    async with DoubleServer(double) as server, OpenAIModel(server.url, options=options) as model:
        await model.ready()
    assert notices == []


HIDDEN: dict[str, Any] = {"keyed_without": ["seed", "temperature"], "new_names": True}
"""A store that our marks do not get past, and that names and headers do not give away."""


@pytest.mark.parametrize("way", ["one by one", "chat", "seeded", "streamed"])
async def test_a_store_that_hides_is_told_of_within_the_first_steps(way: str, redis_url: str) -> None:
    """H1 at its worst: 300 steps, p(wrong) = 0.1, k = 3, and no step is contested, however many are wrong."""
    options, missing, chat = WAYS[way]
    told: list[tuple[str, int]] = []
    async with (
        DoubleServer(sloppy(), without={*missing, *SINGLE}) as server,
        CachingGateway(server.url, **HIDDEN) as gateway,
    ):

        def tell(notice: str) -> None:
            told.append((notice, sum("errand" in repr(body) for body in server.bodies)))

        asked = Options(**options, max_in_flight=1, on_notice=tell)
        async with OpenAIModel(gateway.url, options=asked) as model:
            task = Errands(chat)
            report = await surefoot.run(task, THREE, model=model, redis=redis_url)
        assert gateway.hits >= 2 * STEPS
    assert report.contested == 0
    ((notice, steps),) = told
    assert "gave letter-equal samples to separate requests at each of the first 16 prompts" in notice
    assert (
        "not been seen to draw a different one: a model that is sure of short answers does so, too" in notice
    )
    assert steps <= 20, "said while nearly all of the money is there"


async def test_a_store_that_hides_is_told_of_in_the_notes_of_a_run(redis_url: str) -> None:
    progress = Progress()
    async with (
        DoubleServer(sloppy(), without=SINGLE) as server,
        CachingGateway(server.url, **HIDDEN) as gateway,
    ):
        await surefoot.run(
            Errands(length=40),
            THREE,
            model=gateway.url,
            redis=redis_url,
            options=Options(max_in_flight=1),
            on_event=progress.listen,
        )
    assert len([note for note in progress.notes if "letter-equal samples" in note]) == 1


class Thinker(Garbage):
    """Draws anew whatever it does not know, and thinks about each errand always the same for so many characters."""

    def __init__(self, thoughts: int) -> None:
        super().__init__()
        self.thoughts = thoughts

    def draw(self, ask: Ask) -> Sample:
        prompt = ask.prompt if isinstance(ask.prompt, str) else ask.prompt[-1].content
        if not prompt.startswith("errand"):
            return super().draw(ask)
        text = f"<think>{'so ' * (self.thoughts // 3)}</think>{right(prompt)}"
        return Sample(text, "stop", 9, Usage(completion=9))


@pytest.mark.parametrize(("thoughts", "notices"), [(0, 0), (300, 0), (600, 1)])
@pytest.mark.parametrize("way", ["one by one", "chat", "streamed"])
async def test_of_a_server_that_was_seen_to_draw_only_long_equal_samples_are_told(
    thoughts: int, notices: int, way: str, redis_url: str
) -> None:
    options, missing, chat = WAYS[way]
    told: list[str] = []
    asked = Options(**options, on_notice=told.append)
    async with (
        DoubleServer(Thinker(thoughts), without={*missing, *SINGLE}) as server,
        OpenAIModel(server.url, options=asked) as model,
    ):
        await surefoot.run(Errands(chat, SHORT), THREE, model=model, redis=redis_url)
    assert len(told) == notices
    assert all("500 characters or more each, as few models write twice" in notice for notice in told)


async def test_of_votes_that_differ_or_of_a_sure_embedded_model_nothing_is_told(redis_url: str) -> None:
    told: list[str] = []
    options = Options(on_notice=told.append)
    async with (
        DoubleServer(sloppy(), without=SINGLE) as server,
        OpenAIModel(server.url, options=options) as model,
    ):
        await surefoot.run(Errands(length=100), THREE, model=model, redis=redis_url)
    assert told == []
    progress = Progress()
    await surefoot.run(
        surefoot.Towers(6, "compact"),
        Settings(k=3),
        model="pebble",
        redis=redis_url,
        options=Options(max_n=1, max_batch=1),
        on_event=progress.listen,
    )
    assert progress.notes == []


def test_the_very_same_request_may_get_the_very_same_samples_and_a_difference_ends_the_watch() -> None:
    draws = Draws()
    draws.probed()
    long = [("", "x" * 600)]
    assert not any(draws.seen(prompt, long, 7) for prompt in range(50) for _ in range(3)), "one seed"
    draws.probed()
    assert not any(draws.seen(prompt, long, number) for prompt in range(15) for number in range(3))
    draws.seen(15, long, 0)
    assert not draws.seen(15, [("another thought", "x" * 600)], 1)
    assert not any(draws.seen(prompt, long, number) for prompt in range(50) for number in range(3))


async def drawn(model: OpenAIModel, asks: Sequence[Ask]) -> list[Sample]:
    async with aclosing(model.sample(asks)) as samples:
        return [sample async for _, sample in samples]


async def test_every_request_for_samples_differs_from_every_other_and_greedy_ones_do_not() -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        await model.ready()
        server.bodies.clear()
        for _ in range(3):
            await drawn(model, [Ask("a", 0.7, 9, 0), Ask("b", 0.7, 9, 0), Ask("c", 0.0, 9, 0)])
        temperatures = sorted(float(str(body["temperature"])) for body in server.bodies)
    assert temperatures[:3] == [0.0] * 3
    assert len(set(temperatures[3:])) == 3
    assert temperatures[3:] == pytest.approx([0.7] * 3, rel=1e-6)


async def test_what_is_seeded_can_be_repeated_to_the_letter() -> None:
    bodies = []
    for _ in range(2):
        async with (
            DoubleServer(towers_double()) as server,
            OpenAIModel(server.url, options=Options(seeded=True)) as model,
        ):
            await model.ready()
            server.bodies.clear()
            await drawn(model, [Ask("a", 0.7, 9, seed) for seed in (1, 2)])
            bodies.append(sorted(server.bodies, key=str))
    assert bodies[0] == bodies[1]
    assert bodies[0][0]["temperature"] != bodies[0][1]["temperature"]


def test_marks_never_repeat_and_change_the_temperature_by_less_than_a_millionth() -> None:
    marks = Marks()
    seen = set()
    for number in [*(marks.next() for _ in range(1000)), 0, 1, MARKS - 2, 2**63]:
        said: dict[str, object] = {"temperature": 0.1}
        mark(said, number)
        temperature = said["temperature"]
        assert isinstance(temperature, float)
        assert 0.1 * (1 - 1e-6) < temperature < 0.1
        seen.add(temperature)
    assert len(seen) > 1000
    greedy: dict[str, object] = {"temperature": 0}
    mark(greedy, 5)
    assert greedy == {"temperature": 0}


def test_names_mean_something_only_where_they_tell_answers_apart() -> None:
    uuid, other = "chatcmpl-9f86d081884c7d659a2f", "chatcmpl-60303ae22b998861bce3"
    names = Names()
    assert not names.seen(uuid, "p", 1)
    assert not names.seen(other, "p", 2)
    assert not names.seen(uuid, "p", 1), "the very same request may get the very same answer"
    assert names.seen(uuid, "p", 3)
    always = Names()
    assert [always.seen(uuid, prompt, number) for number, prompt in enumerate("abbb")] == [False] * 4
    for short in ("", "x", "chatcmpl-123", "chatcmpl-1700000000123456"):
        assert [Names().seen(short, "p", number) for number in range(2)] == [False] * 2
        few = Names()
        assert not any(few.seen(short, "p", number) for number in range(9))


def test_only_so_many_names_are_kept() -> None:
    names = Names()
    many = [f"chatcmpl-{number:020d}x" for number in range(10_000)]
    assert not any(names.seen(name, "p", number) for number, name in enumerate(many))
    assert names.seen(many[-1], "p", -1)
    assert not names.seen(many[0], "p", -1)


@pytest.mark.parametrize(
    "headers",
    [
        {"cf-aig-cache-status": "HIT"},
        {"X-Cache": "Hit from cloudfront"},
        {"X-LiteLLM-Cache-Hit": "True"},
        {"x-portkey-cache-status": "HIT"},
        {"helicone-cache": "HIT"},
        {"x-orca-cache": "HIT"},
    ],
    ids=str,
)
def test_a_gateway_that_says_so_is_believed(headers: dict[str, str]) -> None:
    assert sign_of_store(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"cf-aig-cache-status": "MISS"},
        {"cf-cache-status": "DYNAMIC"},
        {"x-cache": "Miss from cloudfront"},
        {"x-litellm-cache-hit": "False"},
        {"cache-control": "no-cache"},
        {"x-prompt-cache": "hit"},
        {"x-prefix-cache-hit": "true"},
    ],
    ids=str,
)
def test_what_is_no_sign_of_a_store_is_passed_over(headers: dict[str, str]) -> None:
    assert not sign_of_store(headers)


def test_temperatures_in_a_row_differ() -> None:
    marks = Marks()
    said: list[dict[str, object]] = [{"temperature": 2.0} for _ in range(100)]
    for each in said:
        mark(each, marks.next())
    assert all(one != other for one, other in pairwise(each["temperature"] for each in said))

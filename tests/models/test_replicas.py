"""Several servers of one model as one, on real servers that are slow, away, wrong, or serve something else."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Literal

import httpx
import pytest

from surefoot.errors import BadInput
from surefoot.models import Ask, ModelUnavailable, Replicas, in_order, open_model
from surefoot.models.base import context_of
from surefoot.models.connect import as_kept, is_address, with_judge
from surefoot.models.doubles import Double, DoubleServer, Fault, Latency, towers_double
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.failures import RequestRefused
from surefoot.models.openai.options import Options, Wait
from surefoot.models.replicas import BreakerState, ReplicaCounts
from surefoot.models.replicas.affinity import beginning, digest, weight

PROMPTS = ("---;AabcBC>", "aAB;AbcBaC>", "bAC;AcBaCb>", "cBC;BabCcA>", "---;AabBC>", "---;AabcdBC>")


def ask(prompt: str = PROMPTS[0], seed: int = 0, temperature: float = 0.1) -> Ask:
    return Ask(prompt, temperature, 50, seed)


def three(prompt: str = PROMPTS[0]) -> list[Ask]:
    return [ask(prompt, seed) for seed in range(3)]


@asynccontextmanager
async def served(*doubles: Double, **given: object) -> AsyncIterator[list[DoubleServer]]:
    """Serve each double, sorted so that the first server is the own replica of the first prompt."""
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(DoubleServer(double, **given))  # type: ignore[arg-type]
            for double in doubles
        ]
        yield servers


def joined(servers: Sequence[DoubleServer]) -> str:
    return ", ".join(server.url for server in servers)


def own(servers: Sequence[DoubleServer], prompt: str = PROMPTS[0]) -> DoubleServer:
    """Return the server that a prompt is at home on."""
    key = digest(beginning(ask(prompt)))
    return max(servers, key=lambda server: weight(key, named(server)))


def named(server: DoubleServer) -> str:
    return f"the model server at {server.url.removesuffix('/v1')}"


def counts_of(replicas: Replicas, server: DoubleServer) -> ReplicaCounts:
    (found,) = (each for each in replicas.counts() if each.server == named(server))
    return found


@asynccontextmanager
async def opened(servers: Sequence[DoubleServer], **given: object) -> AsyncIterator[Replicas]:
    async with open_model(joined(servers), options=Options(**given)) as model:  # type: ignore[arg-type]
        assert isinstance(model, Replicas)
        yield model


@asynccontextmanager
async def over(
    servers: Sequence[DoubleServer],
    *,
    hedge: float = 0.0,
    compare: float = 0.0,
    told: list[str] | None = None,
) -> AsyncIterator[Replicas]:
    """Open servers that honour seeds, with what is off by default."""
    notices: list[str] = [] if told is None else told
    shares: dict[str, object] = {"hedge": hedge, "compare": compare}
    async with opened(servers, patience_s=5, seeded=True, on_notice=notices.append, **shares) as model:
        yield model


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never happened")


# --- who is asked ---


async def test_each_ask_gets_its_own_answer_and_the_counts_add_up() -> None:
    async with served(*[towers_double()] * 3) as servers, opened(servers) as model:
        asks = [ask(prompt, seed) for seed in range(3) for prompt in PROMPTS]
        samples = await in_order(model, asks)
        async with OpenAIModel(servers[0].url) as alone:
            assert [each.text for each in samples] == [each.text for each in await in_order(alone, asks)]
        assert model.name == "towers-double"
        assert sum(each.asked for each in model.counts()) == len(asks)
        assert all(each.asked == each.answered and each.outstanding == 0 for each in model.counts())
        assert model.unbilled.total == 0


async def test_what_begins_alike_keeps_to_one_replica_for_every_client() -> None:
    async with served(*[towers_double()] * 3) as servers:
        home = own(servers)
        for _ in range(3):
            async with opened(servers) as model:
                for _ in range(3):
                    await in_order(model, three())
                assert counts_of(model, home).answered == 9


async def test_a_key_of_the_caller_keeps_different_prompts_together() -> None:
    async with served(*[towers_double()] * 3) as servers, AsyncExitStack() as stack:
        models = [await stack.enter_async_context(OpenAIModel(server.url)) for server in servers]
        replicas = Replicas(models, key=lambda ask: "part-7")
        for prompt in PROMPTS:
            await in_order(replicas, [ask(prompt)])
        assert sorted(each.answered for each in replicas.counts()) == [0, 0, len(PROMPTS)]


async def test_a_slow_replica_is_used_less() -> None:
    doubles = (*[towers_double(latency=0.02)] * 2, towers_double(latency=0.2))
    async with served(*doubles) as servers, opened(servers) as model:
        for seed in range(20):
            await in_order(model, [ask(prompt, seed) for prompt in PROMPTS])
        assert counts_of(model, servers[2]).answered < 20 <= counts_of(model, servers[0]).answered


async def test_a_busy_replica_s_asks_go_to_one_that_is_free() -> None:
    async with served(*[towers_double(latency=0.05)] * 2) as servers, opened(servers) as model:
        await in_order(model, three())
        await asyncio.gather(*(in_order(model, three()) for _ in range(8)))
        other = next(server for server in servers if server is not own(servers))
        assert counts_of(model, other).answered >= 6


# --- one that fails ---


async def test_the_asks_of_a_replica_that_dies_are_answered_by_the_others() -> None:
    told: list[str] = []
    async with (
        served(*[towers_double(latency=0.3)] * 3) as servers,
        opened(servers, on_notice=told.append) as model,
    ):
        await in_order(model, three())
        work = asyncio.gather(*(in_order(model, three(prompt)) for prompt in PROMPTS * 4))
        home = own(servers)
        await until(lambda: home.stats.in_flight > 0)
        await home.__aexit__(None, None, None)
        assert all(len(samples) == 3 for samples in await work)
        assert counts_of(model, home).state is BreakerState.OPEN
        assert all(each.outstanding == 0 for each in model.counts())
    assert [named(home) in sentence and "is left alone" in sentence for sentence in told] == [True]
    assert re.search(r"\(asked \d+, answered 3, failed 6, hedged 0, outstanding \d+\)$", told[0])


async def test_a_replica_that_comes_back_is_asked_again() -> None:
    told: list[str] = []
    async with served(*[towers_double()] * 2) as servers, opened(servers, on_notice=told.append) as model:
        home = own(servers)
        port = int(home.url.split(":")[2].partition("/")[0])
        await home.__aexit__(None, None, None)
        for seed in range(4):
            await in_order(model, [ask(seed=seed)])
        assert counts_of(model, home).state is BreakerState.OPEN
        before = counts_of(model, home).answered
        async with DoubleServer(towers_double(), port=port) as again:
            while counts_of(model, again).answered < before + 4:  # what it was tried with, and three asks
                await in_order(model, three())
                await asyncio.sleep(0.01)
            assert counts_of(model, again).state is BreakerState.CLOSED
    assert [sentence.partition(" (")[0].endswith("answers again") for sentence in told] == [False, True]
    assert model.unbilled.total == 0  # what it was tried with is on the bill of a sample


async def test_what_a_replica_owes_that_fails_when_tried_again_is_asked_elsewhere() -> None:
    async with served(*[towers_double()] * 2) as servers, opened(servers) as model:
        home = own(servers)
        home.fail(Fault("hang"))
        waiting = asyncio.create_task(in_order(model, [ask()]))
        await until(lambda: home.stats.in_flight == 1)
        home.fail(Fault("drop"), times=1000)
        for seed in range(6):  # all but two go elsewhere by themselves
            await in_order(model, [ask(prompt, seed) for prompt in PROMPTS])
        assert counts_of(model, home).state is BreakerState.OPEN and not waiting.done()
        while not waiting.done():
            await in_order(model, [ask(PROMPTS[1])])
            await asyncio.sleep(0.01)
        assert (await waiting)[0].text and home.stats.aborted == 1


async def test_none_that_answers_is_an_outage_of_all_with_their_names() -> None:
    waits: list[Wait] = []
    back: list[bool] = []
    options: dict[str, object] = {
        "patience_s": 0.5,
        "on_wait": waits.append,
        "on_back": lambda: back.append(True),
    }
    async with served(*[towers_double()] * 2) as servers, opened(servers, **options) as model:
        for server in servers:
            server.fail(Fault("status", status=503, message="restarting"), times=1000)
        with pytest.raises(ModelUnavailable) as raised:
            await in_order(model, three())
        assert all(f"{named(server)} (503: restarting)" in str(raised.value) for server in servers)
        assert "none of 2 replicas has answered for 0.5 s" in str(raised.value)
        assert waits and waits[0].server == "all 2 replicas"
        assert not back and all(each.outstanding == 0 for each in model.counts())


async def test_an_outage_of_all_is_waited_for() -> None:
    back: list[bool] = []
    async with (
        served(*[towers_double()] * 2) as servers,
        opened(servers, on_back=lambda: back.append(True)) as model,
    ):
        for server in servers:
            server.fail(Fault("status", status=500), times=2)
        assert len(await in_order(model, three())) == 3
        assert back == [True]


@pytest.mark.parametrize("hedge", [0.0, 0.2])
async def test_whatever_fails_each_ask_gets_its_answer_once(hedge: float) -> None:
    rng = random.Random(7)
    doubles = [towers_double(error=0.3, latency=Latency(0.003, 0.03))] * 3
    async with served(*doubles) as servers, over(servers, hedge=hedge) as model:
        right = {
            prompt: doubles[0].draw(ask(prompt, seed=number)).text for number, prompt in enumerate(PROMPTS)
        }
        await in_order(model, three())
        kinds: list[Literal["drop", "cut", "malformed", "page", "error"]] = [
            "drop",
            "cut",
            "malformed",
            "page",
            "error",
        ]

        async def one(number: int) -> None:
            if rng.random() < 0.5:
                fault = Fault(kind) if (kind := rng.choice([*kinds, None])) else Fault("status", status=503)
                rng.choice(servers).fail(fault, times=rng.randint(1, 4))
            prompts = rng.sample(range(len(PROMPTS)), 3)
            samples = await in_order(model, [ask(PROMPTS[each], seed=each) for each in prompts])
            assert [sample.text for sample in samples] == [right[PROMPTS[each]] for each in prompts]

        for start in range(0, 36, 6):
            await asyncio.gather(*(one(start + number) for number in range(6)))
        assert sum(each.failed for each in model.counts()) > 10
    assert all(each.outstanding == 0 for each in model.counts())


async def test_one_failure_by_itself_only_moves_its_asks() -> None:
    async with served(*[towers_double()] * 2) as servers, opened(servers) as model:
        own(servers).fail(Fault("status", status=500))
        await in_order(model, three())
        assert {each.state for each in model.counts()} == {BreakerState.CLOSED}
        assert counts_of(model, own(servers)).failed == 3


async def test_one_that_says_when_to_come_back_is_left_alone_until_then() -> None:
    async with served(*[towers_double()] * 2) as servers, opened(servers) as model:
        own(servers).fail(Fault("status", status=429, retry_after="30"))
        await in_order(model, three())
        assert counts_of(model, own(servers)).state is BreakerState.OPEN


async def test_one_that_is_away_at_the_start_is_left_alone() -> None:
    told: list[str] = []
    async with served(*[towers_double()] * 2) as servers:
        address = f"http://127.0.0.1:9/v1, {joined(servers)}"
        async with open_model(address, options=Options(on_notice=told.append)) as model:
            assert len(await in_order(model, three())) == 3
    assert len(told) == 1 and told[0].startswith("the model server at http://127.0.0.1:9 is left alone")
    with pytest.raises(ModelUnavailable, match=r"none of 2 replicas answers: .*:9 .*; .*:10 "):
        async with open_model("http://127.0.0.1:9/v1, http://127.0.0.1:10/v1"):
            pass


# --- refusals ---


async def test_a_request_that_another_refuses_too_is_refused() -> None:
    async with served(*[towers_double()] * 2, context=40) as servers, opened(servers) as model:
        with pytest.raises(RequestRefused, match="maximum context length"):
            await in_order(model, [ask("x" * 400)])
        assert {each.state for each in model.counts()} == {BreakerState.CLOSED}
        assert await context_of(model) == 40


async def test_one_that_refuses_what_another_answers_is_left_alone() -> None:
    async with served(*[towers_double()] * 2) as servers, opened(servers) as model:
        own(servers).fail(Fault("status", status=404, message="no such model"), times=1000)
        assert len(await in_order(model, three())) == 3
        assert counts_of(model, own(servers)).state is BreakerState.OPEN


# --- one model ---


async def test_replicas_serve_one_model() -> None:
    async with served(towers_double(), towers_double(name="other")) as servers:
        with pytest.raises(BadInput, match=r"serves 'towers-double' and .* 'other'"):
            async with open_model(joined(servers)):
                pass


async def test_one_that_comes_later_with_another_model_is_set_aside() -> None:
    told: list[str] = []
    async with served(towers_double(), towers_double(name="other")) as servers:
        port = int(servers[1].url.split(":")[2].partition("/")[0])
        await servers[1].__aexit__(None, None, None)
        async with opened(servers, on_notice=told.append) as model:
            async with DoubleServer(towers_double(name="other"), port=port):
                while model.counts()[1].state is not BreakerState.SET_ASIDE:
                    await in_order(model, three())
                    await asyncio.sleep(0.01)
            assert model.name == "towers-double"
    assert "is asked no more: it serves 'other', the others serve 'towers-double'" in told[1]


# --- late ones ---


async def test_a_late_ask_is_asked_of_another_too_and_the_first_answer_counts() -> None:
    async with served(*[towers_double()] * 2) as servers, over(servers, hedge=0.5) as model:
        async with OpenAIModel(servers[0].url) as alone:
            (quick,) = await in_order(alone, [ask()])
        for seed in range(40):
            await in_order(model, [ask(seed=seed)])
        home = own(servers)
        before = sum(each.hedged for each in model.counts())
        home.fail(Fault("hang"))
        while not home.stats.failed:  # a busy machine may have made the other one quicker for a while
            (sample,) = await in_order(model, [ask(seed=40)])
        assert sum(each.hedged for each in model.counts()) > before
        assert sample.text == quick.text and sample.usage == quick.usage + quick.usage
        await until(lambda: home.stats.aborted >= 1)  # the slower one is cancelled
        assert all(each.outstanding == 0 for each in model.counts())


async def test_no_more_than_the_share_is_hedged_and_nothing_by_default() -> None:
    for share, most in ((0.05, 3), (0.0, 0)):
        doubles = [towers_double(latency=Latency(0.002, 0.05))] * 2
        async with served(*doubles) as servers, over(servers, hedge=share) as model:
            for seed in range(60):
                await in_order(model, [ask(seed=seed)])
            assert sum(each.hedged for each in model.counts()) <= most


# --- one that differs ---


async def test_one_whose_answers_differ_beyond_chance_is_named_and_asked_no_more() -> None:
    told: list[str] = []
    doubles = [towers_double(error=0.05, seed=1)] * 3 + [towers_double(error=1.0, seed=2)]
    async with served(*doubles) as servers, over(servers, compare=1.0, told=told) as model:
        for seed in range(200):
            await in_order(model, [ask(PROMPTS[seed % len(PROMPTS)], seed)])
            if model.counts()[3].state is BreakerState.SET_ASIDE:
                break
        assert [each.state for each in model.counts()] == [BreakerState.CLOSED] * 3 + [BreakerState.SET_ASIDE]
        asked = model.counts()[3].asked
        for seed in range(20):
            await in_order(model, [ask(PROMPTS[seed % len(PROMPTS)], seed)])
        assert model.counts()[3].asked == asked
    (sentence,) = told
    assert sentence.startswith(named(servers[3])) and "beyond chance" in sentence


async def test_what_a_comparison_takes_is_on_the_bill() -> None:
    async with served(*[towers_double()] * 3) as servers:
        async with over(servers) as model:
            alone = (await in_order(model, [ask()]))[0].usage
        async with over(servers, compare=0.5) as model:
            billed = [
                usage for seed in range(8) for usage in [(await in_order(model, [ask(seed=seed)]))[0].usage]
            ]
            await until(lambda: sum(each.outstanding for each in model.counts()) == 0)
            assert sum(billed).total + model.unbilled.total == (8 + 4 * 2) * alone.total  # type: ignore[attr-defined]


# --- addresses ---


async def test_the_last_name_is_that_of_all_that_have_none_and_the_key_goes_to_each() -> None:
    async with served(*[towers_double()] * 2, api_key="sk-0123456789") as servers:
        options = Options(api_key="sk-0123456789")
        async with open_model(f"{joined(servers)}#towers-double", options=options) as model:
            assert len(await in_order(model, three())) == 3


async def test_replicas_bind_closer_than_planner_perceiver_and_judge() -> None:
    address = "http://a/v1, http://b/v1?key=abc ~ http://c/v1 + glance"
    assert is_address(address) and not is_address("http://a/v1, something")
    assert as_kept(address) == "http://a/v1, http://b/v1?key=*** ~ http://c/v1 + glance"
    assert with_judge("http://a/v1", "http://b/v1, http://c/v1") == "http://a/v1 ~ http://b/v1, http://c/v1"
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(served(*[towers_double()] * 3))
        model = await stack.enter_async_context(open_model(f"{joined(servers[:2])} ~ {servers[2].url}"))
        assert model.name == "towers-double ~ towers-double"


@pytest.mark.parametrize(
    "address", ["pebble, pebble", "http://a/v1, pebble", "http://a/v1, ", "http://a/v1, b"]
)
async def test_replicas_are_urls(address: str) -> None:
    with pytest.raises(BadInput, match="URLs of servers"):
        async with open_model(address):
            pass


async def test_addresses_without_the_blank_are_no_address() -> None:
    with pytest.raises(BadInput, match="with a comma and a blank between them"):
        async with open_model("http://a/v1,http://b/v1?key=abc") as model:
            await in_order(model, three())


async def test_a_blank_too_many_is_none_of_an_address() -> None:
    async with AsyncExitStack() as stack:
        one, other = await stack.enter_async_context(served(*[towers_double()] * 2))
        model = await stack.enter_async_context(open_model(f"{one.url} ,  {other.url}"))
        answering = [f"{each.server}/v1".split()[-1] for each in model.counts()]
        assert answering == [one.url, other.url]


@pytest.mark.parametrize(
    "address",
    [
        "http://a/v1",
        "pebble",
        "openai#name",
        "http://a/v1 + http://b/v1, http://c/v1",
        "http://a/v1 ~ http://b/v1, http://c/v1",
        "http://a/v1, http://b/v1 | template",
    ],
)
async def test_one_server_is_neither_hedged_nor_compared(address: str) -> None:
    for options in (Options(hedge=0.05), Options(compare=0.005)):
        with pytest.raises(BadInput, match="takes several servers of one model"):
            async with open_model(address, options=options):
                pass


async def test_who_looks_or_judges_may_be_one_server() -> None:
    async with served(*[towers_double()] * 2) as servers:
        for beside in (f" + {servers[0].url}", f" ~ {servers[0].url}", " + template"):
            async with open_model(joined(servers) + beside, options=Options(hedge=0.05)) as model:
                assert model.name


def test_what_cannot_be_replicas_is_refused() -> None:
    a, b = (OpenAIModel(f"http://{name}/v1") for name in "ab")
    for wrong, why in (
        (lambda: Replicas([a]), "two models or more"),
        (lambda: Replicas("http://a, http://b"), "`open_model` takes their addresses"),  # type: ignore[arg-type]
        (lambda: Replicas([a, OpenAIModel("http://a")]), "two of the model server at http://a"),
        (lambda: Replicas([a, b], options=Options(compare=0.1)), "compare three or more"),
        (lambda: Options(hedge=1.5), "hedge is a share"),
        (lambda: Options(compare=-1), "compare is a share"),
        (lambda: OpenAIModel("http://a/v1", options=Options(hedge=0.1)), "give these options to `Replicas`"),
    ):
        with pytest.raises(BadInput, match=why):
            wrong()


class Recording(httpx.AsyncHTTPTransport):
    """Passes requests on, and keeps one of their headers."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: set[str | None] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sessions.add(request.headers.get("x-session-id"))
        return await super().handle_async_request(request)


@pytest.mark.parametrize("session", ["job-7", None])
async def test_a_session_goes_to_the_router_with_every_request_and_only_if_it_is_given(
    session: str | None,
) -> None:
    async with DoubleServer(towers_double()) as server:
        transport = Recording()
        async with OpenAIModel(server.url, transport=transport, options=Options(session=session)) as model:
            await in_order(model, three())
        assert transport.sessions == {session}
    with pytest.raises(BadInput, match="visible ASCII"):
        Options(session="job 7\r\nx: y")


async def test_closing_a_call_cancels_what_runs() -> None:
    async with served(*[towers_double()] * 2) as servers, opened(servers) as model:
        for server in servers:
            server.fail(Fault("hang"), times=len(PROMPTS))
        samples = model.sample([ask(prompt) for prompt in PROMPTS])
        first = asyncio.ensure_future(anext(samples))
        await until(lambda: sum(server.stats.in_flight for server in servers) > 0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        async with aclosing(samples):
            pass
        await until(lambda: sum(server.stats.in_flight for server in servers) == 0)
        assert all(each.outstanding == 0 for each in model.counts())

"""The doubles err exactly as told, and the same way every time."""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import BadInput
from surefoot.models.base import Ask, Message, Model, Prompt
from surefoot.models.doubles import Double, Garbage, Latency, towers_double
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.doubles.towers import CANNOT_READ, towers_right, towers_wrong
from surefoot.tools.towers import board as towers
from surefoot.tools.towers import compact
from surefoot.voting.samples import Sample

MANY = 20_000


def right(prompt: Prompt) -> str:
    return f"right {prompt}"


def wrong(prompt: Prompt, which: int) -> str:
    return f"wrong {which % 3}"


def asks(count: int, *, prompts: int = 1, max_tokens: int = 100) -> list[Ask]:
    return [Ask(f"prompt {i % prompts}", 0.1, max_tokens, i // prompts) for i in range(count)]


def texts(double: Double, wanted: list[Ask]) -> list[str]:
    return [double.draw(ask).text for ask in wanted]


async def drawn(model: Model, wanted: list[Ask]) -> list[tuple[int, Sample]]:
    return [pair async for pair in model.sample(wanted)]


async def test_the_same_ask_gets_the_same_sample_in_any_order_from_any_instance() -> None:
    wanted = asks(200, prompts=20)
    one, other = (
        Double(right, wrong, error=0.3, hard=0.2, correlation=0.2, invalid=0.2, seed=4) for _ in range(2)
    )
    forwards = dict(await drawn(one, wanted))
    shuffled = random.Random(1).sample(range(200), 200)
    backwards = await drawn(other, [wanted[i] for i in shuffled])
    assert {shuffled[position]: sample for position, sample in backwards} == forwards


def test_another_seed_makes_another_double() -> None:
    wanted = asks(100)
    assert texts(Double(right, wrong, error=0.5, seed=1), wanted) != texts(
        Double(right, wrong, error=0.5, seed=2), wanted
    )


def test_without_errors_every_sample_is_right() -> None:
    assert set(texts(Double(right, wrong), asks(100))) == {"right prompt 0"}


@pytest.mark.parametrize("error", [0.02, 0.3, 1.0])
def test_the_share_of_wrong_samples_is_the_error(error: float) -> None:
    found = texts(Double(right, wrong, error=error), asks(MANY, prompts=100))
    share = sum(text.startswith("wrong") for text in found) / MANY
    assert abs(share - error) < 4 * (error * (1 - error) / MANY) ** 0.5 + 1e-12


def test_wrong_answers_differ() -> None:
    found = texts(Double(right, wrong, error=1.0), asks(300))
    assert set(found) == {"wrong 0", "wrong 1", "wrong 2"}


def test_hard_prompts_are_a_share_of_all_and_have_an_error_of_their_own() -> None:
    double = Double(right, wrong, hard=0.1, hard_error=0.8)
    found = texts(double, asks(40_000, prompts=1000))
    wrongs = [sum(found[i::1000][j].startswith("wrong") for j in range(40)) for i in range(1000)]
    hard = [count for count in wrongs if count]
    assert 70 <= len(hard) <= 130
    assert 0.77 < sum(hard) / (40 * len(hard)) < 0.83


def test_the_wrong_samples_of_a_hard_prompt_may_be_alike() -> None:
    found = texts(Double(right, wrong, error=0.3, hard=0.5, hard_alike=True), asks(40_000, prompts=100))
    kinds = [{text for text in found[i::100] if text.startswith("wrong")} for i in range(100)]
    assert 30 <= sum(len(kind) == 1 for kind in kinds) <= 70  # and the other prompts have all three
    assert {len(kind) for kind in kinds} == {1, 3}
    assert {text for kind in kinds if len(kind) == 1 for text in kind} == {"wrong 0", "wrong 1", "wrong 2"}


def test_correlated_prompts_draw_once_for_all_their_samples() -> None:
    double = Double(right, wrong, error=0.3, correlation=1.0)
    found = texts(double, asks(10_000, prompts=1000))
    assert all(len(set(found[i::1000])) == 1 for i in range(1000))
    assert 0.24 < sum(text.startswith("wrong") for text in found[:1000]) / 1000 < 0.36


def test_invalid_samples_come_in_three_kinds() -> None:
    double = Double(right, wrong, invalid=0.3)
    samples = [double.draw(ask) for ask in asks(MANY, max_tokens=50)]
    good = [sample for sample in samples if sample.text == "right prompt 0" and sample.finish == "stop"]
    malformed = [sample for sample in samples if sample.text != "right prompt 0" and sample.finish == "stop"]
    too_long = [sample for sample in samples if sample.finish == "length"]
    truncated = [sample for sample in samples if sample.finish is None]
    assert 0.68 < len(good) / MANY < 0.72
    for kind in (malformed, too_long, truncated):
        assert 0.08 < len(kind) / MANY < 0.12
    assert all(sample.tokens == 50 for sample in too_long)


def test_tokens_add_up() -> None:
    sample = Double(right, wrong).draw(Ask("p" * 9, 0.1, 100, 0))
    assert (sample.tokens, sample.usage.prompt, sample.usage.completion) == (4, 3, 4)


def test_answers_longer_than_the_limit_are_cut_off() -> None:
    sample = Double(right, wrong).draw(Ask("prompt", 0.1, 2, 0))
    assert (sample.text, sample.finish, sample.tokens) == ("right pr", "length", 2)


@pytest.mark.parametrize("what", ["error", "hard", "hard_error", "correlation", "invalid"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_chances_lie_between_0_and_1(what: str, value: float) -> None:
    with pytest.raises(BadInput, match=what):
        Double(right, wrong, **{what: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_a_latency_is_finite(seconds: float) -> None:
    with pytest.raises(BadInput, match="latency"):
        Double(right, wrong, latency=seconds)
    with pytest.raises(BadInput, match="latency"):
        Latency(seconds, 1.0)


def test_without_latency_sampling_never_suspends() -> None:
    samples = Double(right, wrong, error=0.5).sample(asks(3))
    found = []
    for _ in range(3):
        with pytest.raises(StopIteration) as stopped:
            samples.__anext__().send(None)
        found.append(stopped.value.value[0])
    assert found == [0, 1, 2]


async def test_slow_samples_come_in_the_order_of_their_latency_and_together() -> None:
    double = Double(right, wrong, latency=Latency(0.02, 0.2))
    wanted = asks(50)
    started = time.monotonic()
    order = [position for position, _ in await drawn(double, wanted)]
    took = time.monotonic() - started
    delays = [double.delay(ask) for ask in wanted]
    assert order == sorted(range(50), key=lambda position: delays[position])
    assert max(delays) <= took < sum(delays)


def test_latencies_have_the_percentiles_asked_for() -> None:
    double = Double(right, wrong, latency=Latency(0.1, 1.0))
    delays = sorted(double.delay(ask) for ask in asks(MANY))
    assert delays[MANY // 2] == pytest.approx(0.1, rel=0.1)
    assert delays[MANY * 99 // 100] == pytest.approx(1.0, rel=0.2)


async def test_garbage_answers_nothing_and_differs_from_ask_to_ask() -> None:
    samples = [sample for _, sample in await drawn(Garbage(), asks(20))]
    assert len({sample.text for sample in samples}) == 20
    assert all(sample.finish == "stop" for sample in samples)
    assert all(compact.read_answer(sample.text) is None for sample in samples)
    assert samples == [sample for _, sample in await drawn(Garbage(), asks(20))]


# --- the towers double ---


def as_text(disks: int, step: int, move_only: bool) -> tuple[str, towers.Move, towers.Pegs]:
    """A step of the shortest solution, in the compact text's own pegs: disk 1 goes A -> B -> C -> A there."""
    to = (0, 1, 2) if disks % 2 == 0 else (0, 2, 1)

    def pegs(board: towers.Pegs) -> towers.Pegs:
        return (board[to[0]], board[to[1]], board[to[2]])

    def move(own: towers.Move) -> towers.Move:
        return towers.Move(own.disk, to[own.source], to[own.target])

    previous = move(towers.optimal_move(disks, step - 1)) if step else None
    prompt = compact.prompt(pegs(towers.optimal_state(disks, step)), previous, move_only=move_only)
    return prompt, move(towers.optimal_move(disks, step)), pegs(towers.optimal_state(disks, step + 1))


@pytest.mark.parametrize("disks", range(1, 9))
def test_the_towers_double_plays_the_shortest_solution(disks: int) -> None:
    for step in range(towers.optimal_length(disks)):
        prompt, move, after = as_text(disks, step, move_only=False)
        assert compact.read_answer(towers_right(prompt)) == (move, after)
        prompt, move, _ = as_text(disks, step, move_only=True)
        assert compact.read_move(towers_right(prompt)) == move


@given(st.integers(1, 20), st.data(), st.booleans(), st.integers(0, 2**64 - 1))
def test_wrong_answers_are_in_form_and_wrong(
    disks: int, data: st.DataObject, move_only: bool, which: int
) -> None:
    step = data.draw(st.integers(0, towers.optimal_length(disks) - 1))
    prompt, move, after = as_text(disks, step, move_only)
    answer = towers_wrong(prompt, which)
    if move_only:
        assert compact.read_move(answer) not in (None, move)
    else:
        assert compact.read_answer(answer) not in (None, (move, after))


def test_wrong_answers_are_of_every_kind() -> None:
    prompt, right_move, _ = as_text(6, 20, move_only=False)
    board = towers.optimal_state(6, 20)
    kinds = set()
    for which in range(100):
        answer = compact.read_answer(towers_wrong(prompt, which))
        assert answer
        move, after = answer
        legal = towers.broken_rule(board, move) is None
        consistent = legal and towers.apply(board, move) == after
        kinds.add((move == right_move, legal, consistent))
    assert kinds >= {(True, True, False), (False, True, True), (False, True, False), (False, False, False)}


def test_the_towers_double_reads_the_last_message_of_a_chat() -> None:
    assert towers_right((Message("system", "rules"), Message("user", "---;AaBC?"))) == "aAB"


@pytest.mark.parametrize("prompt", ["", "hello", "---;ABC>", "---;AabcBC", "aAB;AbcBaC!"])
def test_the_towers_double_answers_other_prompts_like_a_model_that_cannot(prompt: str) -> None:
    assert towers_right(prompt) == towers_wrong(prompt, 5) == CANNOT_READ


# --- the server around them ---


async def test_the_server_draws_what_the_double_would() -> None:
    double = towers_double(error=0.5, invalid=0.3)
    async with DoubleServer(double) as server, httpx.AsyncClient() as client:
        for seed in range(30):
            body = {"model": double.name, "prompt": "---;AabcBC>", "max_tokens": 50, "seed": seed}
            reply = (await client.post(f"{server.url}/completions", json=body)).json()
            sample = double.draw(Ask("---;AabcBC>", 1.0, 50, seed))
            assert (reply["choices"][0]["text"], reply["choices"][0]["finish_reason"]) == (
                sample.text,
                sample.finish,
            )


async def test_a_seed_gives_every_prompt_of_a_list_the_same_draws_as_vllm_does() -> None:
    double = towers_double(error=0.5)
    async with DoubleServer(double) as server, httpx.AsyncClient() as client:
        body = {"model": double.name, "prompt": ["---;AabcBC>"] * 2, "n": 3, "max_tokens": 50, "seed": 5}
        choices = (await client.post(f"{server.url}/completions", json=body)).json()["choices"]
    found = [choice["text"] for choice in choices]
    assert found[:3] == found[3:]


async def test_slots_hold_the_crowd_back() -> None:
    async with DoubleServer(towers_double(latency=0.02), slots=2) as server, httpx.AsyncClient() as client:
        body = {"model": "towers-double", "prompt": "---;AaBC>"}
        started = time.monotonic()
        await asyncio.gather(*(client.post(f"{server.url}/completions", json=body) for _ in range(6)))
        assert time.monotonic() - started >= 3 * 0.02
        assert server.stats.most_in_flight == 6


def test_a_model_that_is_no_double_is_not_served() -> None:
    class Own:
        name = "own"

        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            yield 0, Sample("4")

    with pytest.raises(
        BadInput, match=r"a double, but Own has no `draw`: pass a model of your own as `model` itself"
    ):
        DoubleServer(Own())  # type: ignore[arg-type]


def test_the_server_runs_as_a_process_of_its_own_and_ends_when_told() -> None:
    command = [
        sys.executable,
        "-m",
        "surefoot.models.doubles.server",
        "--double",
        "garbage",
        "--without",
        "chat",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout
        url = json.loads(server.stdout.readline())["url"]
        assert httpx.get(f"{url}/models").json()["data"][0]["id"] == "garbage"
        assert httpx.post(f"{url}/chat/completions", json={}).status_code == 404
        assert httpx.get(url.removesuffix("/v1") + "/health").json() == {"status": "ok"}
        assert httpx.get(url.removesuffix("/v1") + "/stats").json()["requests"] == 0
        server.terminate()
        assert server.wait(timeout=10) == 0

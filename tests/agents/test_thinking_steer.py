"""A bias on cue words makes thoughts that begin with them rarer."""

import pytest

from surefoot.agents.reasoning.reasoner import Reasoner
from surefoot.agents.reasoning.steer import NoCueTokens, Steer
from surefoot.errors import BadInput
from surefoot.models.base import Ask
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.doubles.thinking import ThinkingDouble
from surefoot.models.doubles.thoughts import overthinker
from surefoot.models.embedded.llama_cpp import EmbeddedServer, embedded_options
from surefoot.models.openai import OpenAIModel
from surefoot.models.streaming import Streaming


def double() -> ThinkingDouble:
    return ThinkingDouble(overthinker(lambda _: "4", lambda _, which: f"{which % 4}", rechecks=6))


async def thoughts(model: Streaming, steer: Steer, samples: int = 30) -> int:
    reasoner = Reasoner(model, steer)
    minds = [await reasoner.think(Ask("2 + 2?", 0.5, 50, seed)) for seed in range(samples)]
    return sum(len(state.thoughts) for state in minds)


async def test_a_stronger_bias_leaves_fewer_thoughts_that_reflect() -> None:
    steers = [Steer(-0.01), Steer(-0.5), Steer(-100)]
    counts = [await thoughts(double(), steer) for steer in steers]
    assert counts[0] > counts[1] > counts[2]
    assert [steer.kinds.total() for steer in steers] == counts
    assert steers[0].kinds["reflection"] > 0 < steers[0].kinds["transition"]
    assert set(steers[2].kinds) == {"execution"}


async def test_every_way_to_write_a_cue_word_is_found_and_nothing_else() -> None:
    asked = double()
    reasoner = Reasoner(asked, Steer(-5.0))
    await reasoner.think(Ask("2 + 2?", 0.5, 50, 0))
    words = ("wait", "hmm", "verify", "alternatively")
    forms = [gap + form for gap in ("", " ") for word in words for form in (word, word.capitalize())]
    assert asked.draws[0].logit_bias == tuple((token, -5.0) for token in sorted(map(asked.token_id, forms)))


async def test_over_http_the_servers_tokenizer_is_asked_once() -> None:
    steer = Steer(-100.0)
    async with DoubleServer(double()) as server, OpenAIModel(server.url) as model:
        assert await thoughts(model, steer, samples=3) == 3
        biased = [body["logit_bias"] for body in server.bodies if "logit_bias" in body]
    assert len(biased) >= 3
    assert biased[0] == biased[-1]


async def test_a_tokenizer_without_such_words_is_told_of() -> None:
    with EmbeddedServer() as server:
        async with OpenAIModel(server.url, options=embedded_options()) as model:
            with pytest.raises(NoCueTokens, match="'wait'"):
                await thoughts(model, Steer(-1.0), samples=1)


@pytest.mark.parametrize("bias", [0.0, 1.0, -101.0, float("nan")])
def test_a_bias_that_does_not_steer_away_is_refused(bias: float) -> None:
    with pytest.raises(BadInput, match="bias"):
        Steer(bias)

"""glance: what its network does with pictures and questions, and what its card says."""

import json
from typing import Any

import numpy as np
import pytest

from surefoot import Ask, Message, OpenAIModel, Picture
from surefoot.models import in_order, open_model
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.embedded import WEIGHTS
from surefoot.models.embedded.glance import ROOM, SIDE, Glance, GlanceQuestion, seen
from surefoot.models.perceivers import GlanceModel
from surefoot.tools.drawing import draw_scene, draw_towers, peg_box, scene
from surefoot.tools.pictures.crops import Box, crop
from surefoot.tools.pictures.pixels import encoded
from surefoot.tools.videoreason import DEMOS, Episode, draw_operation
from surefoot.training.glance import card
from surefoot.training.pebble.card import between_marks

PARAMETERS = 626_160
PEGS = encoded(draw_towers(((3,), (), (2, 1))))


def ask(picture: Picture, question: str = "peg?", **how: Any) -> Ask:
    given = {"temperature": 0.0, "max_tokens": 32, "seed": 0, **how}
    return Ask((Message("user", question, (picture,)),), **given)


def peg(number: int) -> Picture:
    return crop(PEGS, Box(*peg_box(number, 3)))


@pytest.fixture(scope="module")
def network() -> Glance:
    return Glance()


async def test_it_reads_pegs() -> None:
    samples = await in_order(GlanceModel(), [ask(peg(number)) for number in range(3)])
    assert [sample.text for sample in samples] == ["3", "none", "1 2"]
    assert {sample.finish for sample in samples} == {"stop"}


@pytest.mark.parametrize("demo", ["number", "circle", "chips"])
def test_it_sees_most_operations_of_a_video(demo: str, network: Glance) -> None:
    episode = Episode(demo, 2 if demo == "chips" else 3, 60, 5)
    looks = [GlanceQuestion(seen(encoded(draw_operation(episode.demo, *step))), "op?") for step in episode]
    right = [DEMOS[demo].write_operation(step.operation) for step in episode]
    said = [each.text for each in network.answer(looks)]
    assert sum(one == other for one, other in zip(said, right, strict=True)) >= 54


def test_an_answer_does_not_depend_on_what_is_answered_with_it(network: Glance) -> None:
    pictures = [encoded(draw_scene(scene(number, seed=number))) for number in range(9)]
    looks = [
        GlanceQuestion(seen(picture), question, 1.0, seed)
        for seed, picture in enumerate(pictures)
        for question in ("count?", "count red?", "count circle?")
    ]
    together = network.answer(looks)
    assert together == [network.answer([look])[0] for look in looks]
    assert together == network.answer(looks[::-1])[::-1]


async def test_samples_are_functions_of_the_seed_and_differ_where_it_is_in_doubt() -> None:
    picture = encoded(draw_scene(scene(9, seed=2)))
    asks = [ask(picture, "count?", temperature=2.0, seed=seed) for seed in range(40)]
    first = [sample.text for sample in await in_order(GlanceModel(), asks)]
    assert first == [sample.text for sample in await in_order(GlanceModel(), asks[::-1])][::-1]
    assert len({*first}) > 1


async def test_an_answer_is_cut_off_at_its_limit() -> None:
    (sample,) = await in_order(GlanceModel(), [ask(peg(2), max_tokens=2)])
    assert (sample.text, sample.finish, sample.tokens) == ("1 ", "length", 2)


@pytest.mark.parametrize("question", ["", "é?", "x" * (ROOM - 1)])
async def test_a_question_that_it_has_no_room_for_is_a_red_flag(question: str) -> None:
    asked = [ask(peg(2), question), ask(peg(2))]
    first, second = await in_order(GlanceModel(), asked)
    assert (first.text, first.finish, second.text) == ("", None, "1 2")
    assert GlanceModel().draw(asked[0]) == first


async def test_it_is_served_like_any_model_that_takes_pictures() -> None:
    async with DoubleServer(GlanceModel()) as server, OpenAIModel(server.url) as model:
        said = await in_order(model, [ask(peg(2)), ask(peg(1))])
    assert [sample.text for sample in said] == ["1 2", "none"]
    content = server.bodies[-1]["messages"][0]["content"]  # type: ignore[index]
    assert [part["type"] for part in content] == ["image_url", "text"]
    async with open_model("glance") as opened:
        assert opened.name == "glance"


def test_what_it_sees_is_square(network: Glance) -> None:
    assert seen(PEGS).shape == (SIDE, SIDE, 3)
    assert network.encode(np.stack([seen(PEGS)])).shape == (1, 100, 112)


def test_the_card_shows_what_was_measured_on_the_shipped_weights() -> None:
    measured = json.loads(card.MEASURED.read_text())
    assert between_marks(card.CARD.read_text()).strip() == card.render(measured)
    assert f"{PARAMETERS:,}" in card.CARD.read_text()


def test_the_weights_are_as_many_as_the_card_says() -> None:
    from safetensors.numpy import load_file

    weights = load_file(WEIGHTS / "glance" / "model.safetensors")
    assert sum(array.size for array in weights.values()) == PARAMETERS

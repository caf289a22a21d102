"""Scores of an answer that points into a picture: its form, the answer, the boxes."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import BadInput
from surefoot.tools.pictures import Box, answer_reward, format_reward, iou_of_unions
from surefoot.tools.pictures.rewards import LONGEST, MOST_BOXES

WHOLE = "<caption>A bar chart.</caption>\n<bbox>[[0, 0, 9, 9]]</bbox>\n<answer> 7 </answer>"
place, length = st.integers(0, 9), st.integers(1, 6)
boxes = st.lists(
    st.builds(
        lambda left, top, width, height: Box(left, top, left + width, top + height),
        place,
        place,
        length,
        length,
    ),
    max_size=6,
)


def pixels(of: list[Box]) -> set[tuple[int, int]]:
    return {(x, y) for box in of for x in range(box.left, box.right) for y in range(box.top, box.bottom)}


@pytest.mark.parametrize("text", [WHOLE, f"\n{WHOLE}\n", WHOLE.replace("\n", ""), WHOLE.replace(" 7 ", "")])
def test_the_three_tags_in_order_are_the_form(text: str) -> None:
    assert format_reward(text) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "<answer>7</answer>",
        WHOLE + "and more",
        "first " + WHOLE,
        WHOLE.replace("</bbox>\n", "</bbox> so "),
        WHOLE.replace("<bbox>", "<bbox><bbox>"),
        WHOLE + WHOLE,
        WHOLE.replace("</answer>", ""),
        WHOLE.replace("caption", "Caption"),
        WHOLE.replace("7", "7</answer><answer>8"),
        "<bbox>[]</bbox><caption>c</caption><answer>7</answer>",
        WHOLE.replace("7", "7" * LONGEST),
    ],
)
def test_everything_else_is_not(text: str) -> None:
    assert (format_reward(text), answer_reward(text, ["7"])) == (0.0, 0.0)


def test_an_answer_is_one_of_those_that_are_accepted() -> None:
    assert answer_reward(WHOLE, ["seven", "7"]) == 1.0
    assert answer_reward(WHOLE, ["8"]) == answer_reward(WHOLE, []) == 0.0
    for text in (WHOLE, ""):
        with pytest.raises(BadInput, match="not the one text '1734': put it into a list"):
            answer_reward(text, "1734")


@given(boxes, boxes)
def test_the_boxes_score_is_that_of_their_pixels(found: list[Box], right: list[Box]) -> None:
    mine, theirs = pixels(found), pixels(right)
    either = len(mine | theirs)
    assert iou_of_unions(found, right) == (len(mine & theirs) / either if either else 0.0)


@given(boxes, boxes, st.randoms())
def test_order_side_and_repetition_do_not_matter(
    found: list[Box], right: list[Box], rng: random.Random
) -> None:
    again = [*found, *found]
    rng.shuffle(again)
    assert iou_of_unions(found, right) == iou_of_unions(right, again)


def test_boxes_of_any_size_are_compared_exactly() -> None:
    far = 10**18
    assert iou_of_unions([Box(0, 0, far, far)], [Box(0, 0, far, far // 2)]) == 0.5
    assert iou_of_unions([], []) == 0.0
    with pytest.raises(BadInput, match="at most"):
        iou_of_unions([Box(0, 0, 1, 1)] * MOST_BOXES, [Box(0, 0, 1, 1)])


def test_forms_take_time_in_proportion(slope: Callable[..., float]) -> None:
    sizes = (1024, 4096, 16384, 65536)
    for piece in ("<caption>", "<", "</answer>", " "):
        assert slope(format_reward, lambda size, piece=piece: piece * (size // len(piece)), sizes) <= 1.1

"""Scenes of coloured shapes, with the exact box of each."""

import random
from typing import Literal, NamedTuple, get_args

from PIL import Image, ImageDraw

from surefoot.errors import BadInput

from .canvas import COLOURS, DrawingStyle, canvas

Form = Literal["circle", "square", "triangle"]
FORMS: tuple[Form, ...] = get_args(Form)
CELLS, CELL_PX = 4, 48
"""A scene is a grid of so many by so many places, which nobody sees."""
MOST_SHAPES = CELLS * CELLS


class SceneShape(NamedTuple):
    """One thing in a scene."""

    colour: str
    form: Form
    box: tuple[int, int, int, int]
    """Left, top, right and bottom, in pixels."""


def scene(shapes: int, seed: int) -> tuple[SceneShape, ...]:
    """Draw so many shapes at random, none touching another."""
    if not 0 <= shapes <= MOST_SHAPES:
        raise BadInput(f"a scene has 0 to {MOST_SHAPES} shapes, not {shapes!r}")
    rng = random.Random(f"scene {shapes} {seed}")
    return tuple(_shape(rng, cell) for cell in rng.sample(range(CELLS * CELLS), shapes))


def draw_scene(shapes: tuple[SceneShape, ...], look: DrawingStyle | None = None) -> Image.Image:
    """Draw them."""
    image, draw = canvas(CELLS * CELL_PX, CELLS * CELL_PX, look or DrawingStyle())
    for shape in shapes:
        _draw(draw, shape)
    return image


def _shape(rng: random.Random, cell: int) -> SceneShape:
    size = rng.randint(CELL_PX // 2, CELL_PX - 8)
    left = cell % CELLS * CELL_PX + rng.randint(3, CELL_PX - 3 - size)
    top = cell // CELLS * CELL_PX + rng.randint(3, CELL_PX - 3 - size)
    return SceneShape(rng.choice(list(COLOURS)), rng.choice(FORMS), (left, top, left + size, top + size))


def _draw(draw: ImageDraw.ImageDraw, shape: SceneShape) -> None:
    left, top, right, bottom = shape.box
    fill = COLOURS[shape.colour]
    match shape.form:
        case "circle":
            draw.ellipse(shape.box, fill)
        case "square":
            draw.rectangle(shape.box, fill)
        case "triangle":
            draw.polygon([((left + right) / 2, top), (right, bottom), (left, bottom)], fill)

"""What glance learns from: drawn pictures, a question about each, and the answer.

| question | about | answer |
| --- | --- | --- |
| `cell?` | a place with a number of up to three digits, or none | `17`, `none` |
| `peg?` | one peg of Towers of Hanoi | its disks from the top down, `1 3 5`; `none` |
| `what?` | one shape | `red circle` |
| `count?` | a scene | how many shapes |
| `count red?`, `count circle?` | a scene | how many of the colour, or of the form |
| `tallest?` | a bar chart | its letter |
| `value C?` | a bar chart | the number above the bar C |
| `value?` | one bar of it | the number above it |
| `op?`, `swap?` | one frame of VideoReasonBench | the operation, as the demo writes it |

Where things lie, their size, their face and their colours are drawn at random; one example is a pure function of the generator's state.
"""

import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from surefoot.models.embedded.glance import squared
from surefoot.tools.drawing.canvas import BLACK, COLOURS, WHITE, DrawingStyle, canvas, write
from surefoot.tools.drawing.charts import draw_bars
from surefoot.tools.drawing.scenes import FORMS, draw_scene, scene
from surefoot.tools.drawing.towers import MOST_DISKS, draw_towers, peg_box
from surefoot.tools.pictures.crops import cut_to_ink
from surefoot.tools.videoreason.canvas import Style
from surefoot.tools.videoreason.catalogue import DEMOS
from surefoot.tools.videoreason.frames import draw_operation

OPERATION = {"number": "op?", "circle": "op?", "cup": "swap?", "cards": "op?", "chips": "op?"}
"""What is asked about a frame of each demo; the lines of a terminal are too small for it."""
LARGEST_BOARD = 5


class PictureExample(NamedTuple):
    """One picture, and what is to be said of it."""

    pixels: NDArray[np.uint8]
    pairs: tuple[tuple[str, str], ...]


def faces() -> list[str | None]:
    """Return the faces that are there: Pillow's own, and those that come with matplotlib."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    names = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf", "DejaVuSerif.ttf")
    return [None, None, None, *(str(folder / name) for name in names)]


def examples(seed: int, phase: str = "look") -> Iterator[PictureExample]:
    """Yield examples without end."""
    rng, kinds = random.Random(seed), PHASES[phase]
    known = faces()
    while True:
        look = drawn_look(rng, known)
        yield rng.choice(kinds)(rng, look)


def drawn_look(rng: random.Random, known: list[str | None]) -> DrawingStyle:
    """Draw how a picture looks: mostly dark on white."""
    light = rng.random() < 0.75
    shade = rng.randint(225, 255) if light else rng.randint(0, 50)
    tint = (
        tuple(min(255, max(0, shade + rng.randint(-12, 12))) for _ in range(3))
        if rng.random() < 0.5
        else (shade,) * 3
    )
    ink = BLACK if light else WHITE
    return DrawingStyle(tint, ink, rng.uniform(0.8, 1.25), rng.choice(known))  # type: ignore[arg-type]


def framed(image: Image.Image, rng: random.Random) -> Image.Image:
    """Return a crop as a task may frame it: as it is, or cut to the ink."""
    return cut_to_ink(image) if rng.random() < 0.35 else image


def cell(rng: random.Random, look: DrawingStyle) -> PictureExample:
    """Draw one place of a board or a table, with a number or without."""
    digits = rng.choice((1, 1, 2, 2, 2, 3))
    number = str(rng.randint(0 if digits == 1 else 10 ** (digits - 1), 10**digits - 1))
    width, height = rng.randint(36, 90), rng.randint(30, 80)
    if rng.random() < 0.4:
        look = look._replace(ground=rng.choice(list(COLOURS.values())), ink=rng.choice((WHITE, WHITE, BLACK)))
    image, draw = canvas(width, height, look)
    if rng.random() < 0.3:
        draw.rectangle((0, 0, width - 1, height - 1), outline=look.ink, width=rng.randint(1, 2))
    said = "none" if rng.random() < 0.06 else number
    if said != "none":
        size = rng.uniform(0.32, 0.7) * min(height, 2.2 * width / (digits + 0.5))
        centre = width / 2 + rng.uniform(-0.08, 0.08) * width, height / 2 + rng.uniform(-0.1, 0.1) * height
        write(draw, centre, number, size, look._replace(scale=1.0))
    return PictureExample(squared(framed(image, rng)), (("cell?", said),))


def peg(rng: random.Random, look: DrawingStyle) -> PictureExample:
    """Draw one peg of a board."""
    disks = rng.randint(1, MOST_DISKS)
    where = [rng.randrange(3) for _ in range(disks)]
    pegs = tuple(
        tuple(disk for disk in range(disks, 0, -1) if where[disk - 1] == number) for number in range(3)
    )
    number = rng.randrange(3)
    image = draw_towers(pegs, look._replace(scale=min(1.1, look.scale))).crop(peg_box(number, disks))  # type: ignore[arg-type]
    return PictureExample(
        squared(framed(image, rng)), (("peg?", " ".join(map(str, reversed(pegs[number]))) or "none"),)
    )


def shape(rng: random.Random, look: DrawingStyle) -> PictureExample:
    """Draw one shape, cut out of its scene with a margin."""
    shapes = scene(rng.randint(1, 8), rng.getrandbits(32))
    one = shapes[0]
    margin = rng.randint(1, 8)
    left, top, right, bottom = one.box
    cut = draw_scene(shapes, look).crop(
        (max(0, left - margin), max(0, top - margin), right + margin, bottom + margin)
    )
    return PictureExample(squared(framed(cut, rng)), (("what?", f"{one.colour} {one.form}"),))


def counts(rng: random.Random, look: DrawingStyle) -> PictureExample:
    """Draw a scene, and ask how many."""
    shapes = scene(rng.randint(0, 9), rng.getrandbits(32))
    pairs = [("count?", str(len(shapes)))]
    pairs += [
        (f"count {name}?", str(sum(each.colour == name for each in shapes)))
        for name in rng.sample(list(COLOURS), 3)
    ]
    pairs += [
        (f"count {name}?", str(sum(each.form == name for each in shapes))) for name in rng.sample(FORMS, 2)
    ]
    return PictureExample(squared(draw_scene(shapes, look)), tuple(pairs))


def chart(rng: random.Random, look: DrawingStyle) -> PictureExample:
    """Draw a chart, and ask for the tallest bar, and for the values of two."""
    values = _values(rng)
    names = [chr(ord("A") + place) for place in range(len(values))]
    pairs = [("tallest?", names[values.index(max(values))])]
    pairs += [(f"value {names[place]}?", str(values[place])) for place in rng.sample(range(len(values)), 2)]
    return PictureExample(squared(draw_bars(values, look).image), tuple(pairs))


def bar(rng: random.Random, look: DrawingStyle) -> PictureExample:
    """Draw one bar of a chart, with its number and its letter."""
    values = _values(rng)
    drawn = draw_bars(values, look)
    place = rng.randrange(len(values))
    column = framed(drawn.image.crop(drawn.columns[place]), rng)
    return PictureExample(squared(column), (("value?", str(values[place])),))


def _values(rng: random.Random) -> tuple[int, ...]:
    largest = rng.choice((9, 99, 999, 999))
    return tuple(rng.sample(range(1, largest + 1), rng.randint(2, 7)))


def frame(name: str, rng: random.Random, look: DrawingStyle) -> PictureExample:
    """Draw one frame of a demo of VideoReasonBench, and ask for its operation."""
    demo = DEMOS[name]
    sizes = [size for size in demo.sizes if size <= LARGEST_BOARD]
    state = demo.start(rng.choice(sizes), rng)
    for _ in range(rng.randint(0, 2)):
        state = demo.after(state, demo.draw(state, rng))
    operation = demo.draw(state, rng)
    image = draw_operation(demo, state, operation, rng.randint(88, 200), Style.drawn(rng))
    return PictureExample(squared(image), ((OPERATION[name], demo.write_operation(operation)),))


Kind = Callable[[random.Random, DrawingStyle], PictureExample]
_FRAMES: tuple[Kind, ...] = tuple(partial(frame, name) for name in (*OPERATION, "cup"))
PHASES: dict[str, tuple[Kind, ...]] = {
    "look": (cell, cell, cell, cell, peg, peg, shape, counts, counts, chart, bar, bar, *_FRAMES),
    "read": (
        *[cell] * 10,
        *[bar] * 4,
        *[peg] * 4,
        *[partial(frame, "cards")] * 3,
        shape,
        counts,
        chart,
        *_FRAMES,
    ),
    "values": (
        *[bar] * 8,
        *[cell] * 8,
        *[peg] * 2,
        *[counts] * 2,
        partial(frame, "cup"),
        shape,
        chart,
        *_FRAMES,
    ),
}
"""What is drawn in each phase of training, each as likely as any other.  Numbers are learnt last and slowest, and so get a phase of their own."""

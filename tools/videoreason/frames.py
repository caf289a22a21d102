"""Still frames of a video: the state where it is visible, and each operation, which shows nothing of the state.

This is the door to all that needs Pillow.
"""

from collections.abc import Callable, Hashable, Mapping
from io import BytesIO
from typing import Any

from PIL import Image

from surefoot.tools.pictures.picture import Picture

from .board_frames import (
    circle_operation,
    circle_state,
    cup_operation,
    cup_state,
    number_operation,
    number_state,
)
from .canvas import Canvas, Style
from .demo import Demo
from .set_frames import (
    TERMINAL,
    cards_operation,
    cards_state,
    chips_operation,
    chips_state,
    files_operation,
    files_state,
)

SIZE_PX = 160
STYLE = Style()
_STATES: Mapping[str, Callable[[Canvas, Any], None]] = {
    "number": number_state,
    "circle": circle_state,
    "cup": cup_state,
    "files": files_state,
    "cards": cards_state,
    "chips": chips_state,
}
_OPERATIONS: Mapping[str, Callable[[Canvas, Any, Any], None]] = {
    "number": number_operation,
    "circle": circle_operation,
    "cup": cup_operation,
    "files": files_operation,
    "cards": cards_operation,
    "chips": chips_operation,
}


def draw_state(
    demo: Demo[Any, Any], state: Hashable, size_px: int = SIZE_PX, style: Style = STYLE
) -> Image.Image:
    """Draw the frame in which the state is visible: RGB, `size_px` pixels a side."""
    canvas = _canvas(demo, size_px, style)
    _STATES[demo.name](canvas, state)
    return canvas.image()


def draw_operation(
    demo: Demo[Any, Any], state: Hashable, operation: Hashable, size_px: int = SIZE_PX, style: Style = STYLE
) -> Image.Image:
    """Draw the frame of a legal operation in the state before it, which itself is hidden: RGB, `size_px` pixels a side.

    Raises `NoMove` for an illegal operation.
    """
    demo.after(state, operation)
    canvas = _canvas(demo, size_px, style)
    _OPERATIONS[demo.name](canvas, state, operation)
    return canvas.image()


def encoded(image: Image.Image) -> Picture:
    """Return the image as a PNG."""
    file = BytesIO()
    image.save(file, "PNG")
    return Picture(file.getvalue())


def _canvas(demo: Demo[Any, Any], size_px: int, style: Style) -> Canvas:
    return Canvas(size_px, style, TERMINAL if demo.name == "files" else None)

"""A video of an episode: still frames in a folder, or one file by PyAV."""

from collections.abc import Iterator
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any

from PIL import Image

from surefoot.errors import BadInput

from .asked import Shown
from .canvas import Style
from .episode import Episode
from .frames import SIZE_PX, STYLE, draw_operation, draw_state

CODECS = {".mp4": "libx264", ".webm": "libvpx-vp9"}


def frames_of(
    episode: Episode, shown: Shown, size_px: int = SIZE_PX, style: Style = STYLE
) -> Iterator[Image.Image]:
    """Draw one frame for each operation, and the state before the first or after the last of them."""
    if shown == "start":
        yield draw_state(episode.demo, episode.state(0), size_px, style)
    for state, operation in episode:
        yield draw_operation(episode.demo, state, operation, size_px, style)
    if shown == "end":
        yield draw_state(episode.demo, episode.state(episode.operations), size_px, style)


def save_frames(frames: Iterator[Image.Image], folder: Path) -> None:
    """Write `000000.png` and so on into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames):
        frame.save(folder / f"{number:06d}.png")


def save_video(frames: Iterator[Image.Image], file: Path, frames_per_s: int = 1) -> None:
    """Write an .mp4 or .webm file; its frames are of one size, with an even number of pixels a side.

    Raises `BadInput` for another ending, and where the package `av` is not installed.
    """
    if file.suffix not in CODECS:
        raise BadInput(f"a video's name ends in {' or '.join(CODECS)}, not {file.name!r}")
    av = _av()
    with av.open(str(file), "w") as container:
        stream = container.add_stream(CODECS[file.suffix], rate=Fraction(frames_per_s))
        for number, frame in enumerate(frames):
            if number == 0:  # the codec opens with the first frame and takes no other size after it
                stream.width, stream.height, stream.pix_fmt = *frame.size, "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())


def _av() -> Any:
    try:
        return import_module("av")
    except ImportError as error:
        raise BadInput(
            "videos are written by the package 'av': pip install av, or save the frames"
        ) from error

"""What `surefoot.tools.drawing` offers."""

from .charts import Bars, draw_bars
from .scenes import Shape, draw_scene, scene
from .towers import draw_towers, label_box, peg_box

__all__ = [
    "Bars",
    "Shape",
    "draw_bars",
    "draw_scene",
    "draw_towers",
    "label_box",
    "peg_box",
    "scene",
]

"""What `surefoot.tools.drawing` offers."""

from .charts import Bars, draw_bars
from .scenes import SceneShape, draw_scene, scene
from .towers import draw_towers, label_box, peg_box

__all__ = [
    "Bars",
    "SceneShape",
    "draw_bars",
    "draw_scene",
    "draw_towers",
    "label_box",
    "peg_box",
    "scene",
]

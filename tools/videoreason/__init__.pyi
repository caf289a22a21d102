"""What `surefoot.tools.videoreason` offers."""

from .asked import Video, VideoQuestion
from .canvas import Style
from .catalogue import DEMOS, demo_named
from .demo import Demo
from .episode import Episode
from .frames import draw_operation, draw_state, encoded
from .questions import questions_about, video_of
from .video import frames_of, save_frames, save_video

__all__ = [
    "DEMOS",
    "Demo",
    "Episode",
    "Style",
    "Video",
    "VideoQuestion",
    "demo_named",
    "draw_operation",
    "draw_state",
    "encoded",
    "frames_of",
    "questions_about",
    "save_frames",
    "save_video",
    "video_of",
]

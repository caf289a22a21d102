"""The six questions of VideoReasonBench about one video, and their exact scorers.

    dim                                     asked for
    order_operation                         the i-th to j-th operations
    counting_operation                      how many operations are of a kind, and which
    order_state, counting_state             the state at the end that is not shown
    comparison_state                        what differs between start and end
    prediction_state                        the state after 3 to 5 further operations
    prediction_operation                    operations that lead to a given state

Every right answer is the simulator's: the published ones are wrong in four places by the benchmark's own rules.
"""

import random
from collections.abc import Mapping
from typing import Any

from .asked import Asked, Shown, Video, VideoQuestion
from .asked_cards import AskedCards
from .asked_chips import AskedChips
from .asked_circle import AskedCircle
from .asked_cup import AskedCup
from .asked_files import AskedFiles
from .asked_number import AskedNumber
from .episode import Episode

ASKED: Mapping[str, type[Asked[Any, Any]]] = {
    "number": AskedNumber,
    "circle": AskedCircle,
    "cup": AskedCup,
    "files": AskedFiles,
    "cards": AskedCards,
    "chips": AskedChips,
}


def video_of(episode: Episode, shown: Shown) -> Video[Any, Any]:
    """Return all states and operations of an episode, the state being visible at one end."""
    steps = list(episode)
    states = [*(step.state for step in steps), episode.state(episode.operations)]
    return Video(episode.demo, states, [step.operation for step in steps], shown)


def questions_about(video: Video[Any, Any], seed: int) -> tuple[VideoQuestion, ...]:
    """Ask one question for each dimension; the same seed asks the same."""
    rng = random.Random(f"questions {video.demo.name} {video.shown} {seed}")
    return ASKED[video.demo.name](video, rng).questions()

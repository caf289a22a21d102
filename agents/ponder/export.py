"""Write ponder's weights in the two forms that servers load: `python -m surefoot.agents.ponder.export CHECKPOINT`."""

from pathlib import Path

from ..pebble.export import Identity, run
from .data import TAGS
from .model import SHAPE

HERE = Path(__file__).parent
PONDER = Identity("ponder", SHAPE, TAGS)


def main() -> None:
    """Export ponder."""
    run(PONDER, HERE)


if __name__ == "__main__":
    main()

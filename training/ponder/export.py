"""Write ponder's weights in the two forms that servers load: `python -m surefoot.training.ponder.export CHECKPOINT`."""

from surefoot.models.embedded import WEIGHTS
from surefoot.training.pebble.export import Identity, run

from .data import TAGS
from .model import SHAPE

HERE = WEIGHTS / "ponder"
PONDER = Identity("ponder", SHAPE, TAGS)


def main() -> None:
    """Export ponder."""
    run(PONDER, HERE)


if __name__ == "__main__":
    main()

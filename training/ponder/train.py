"""Train ponder from scratch, by pebble's loop: `python -m surefoot.training.ponder.train --out DIR`.

The loss counts what the model itself writes: everything after the prompt but what closes the thoughts from outside.  Answers
after that are few tokens, which count for more (`data.ANSWER_WEIGHT`).
"""

from surefoot.training.pebble.model import Pebble, matrix_attention
from surefoot.training.pebble.train import TokenRow, run

from . import data
from .model import SHAPE


def row_of(example: data.Example) -> TokenRow:
    """Return an example in tokens, `<eos>` at its end."""
    tokens = data.tokens(example.problem.prompt)
    weights = [0.0] * len(tokens)
    for piece in example.pieces:
        ids = data.tokens(piece.text)
        tokens += ids
        weights += [piece.weight] * len(ids)
    return TokenRow([*tokens, data.EOS], [*weights, weights[-1]])


def main() -> None:
    """Train ponder."""
    phases = {
        name: lambda seed, mix=mix: map(row_of, data.examples(seed, mix)) for name, mix in data.PHASES.items()
    }
    run(lambda: Pebble(SHAPE, matrix_attention), phases, steps=6000, batch=24, chunk=8)


if __name__ == "__main__":
    main()

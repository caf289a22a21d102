"""Update-selective merging (DLER, arXiv 2510.15110): a part of what training changed is put back on the weights from before.

`python -m surefoot.training.rl.merging TRAINED --out DIR`: against forgetting, at the price of some of what was learned.
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from surefoot.errors import BadInput
from surefoot.models.embedded import WEIGHTS

Arrays = Mapping[str, NDArray[np.float32]]

SHARE, SCALE = 0.25, 0.7
"""The paper's: of the weights, those that changed most, and the part of their change that is kept."""


def merged(
    before: Arrays, after: Arrays, *, share: float = SHARE, scale: float = SCALE
) -> dict[str, NDArray[np.float32]]:
    """Return the weights from before with `scale` of the change of those that changed most, `share` of all, and of no other.

    Raises `BadInput` for weights of two shapes, and for a share that is not above 0 and at most 1.
    """
    if {name: values.shape for name, values in before.items()} != {
        name: values.shape for name, values in after.items()
    }:
        raise BadInput("weights that are merged have the same names and shapes")
    if not 0 < share <= 1:
        raise BadInput(f"a share is above 0 and at most 1, not {share!r}")
    changes = {name: after[name] - values for name, values in before.items()}
    sizes = np.concatenate([np.abs(change).ravel() for change in changes.values()])
    kept = max(1, round(share * len(sizes)))
    least = np.partition(sizes, -kept)[-kept]
    return {
        name: values + np.where(np.abs(changes[name]) >= least, scale * changes[name], 0).astype(values.dtype)
        for name, values in before.items()
    }


def main() -> None:
    """Merge a trained model with ponder as it was."""
    from surefoot.training.pebble.export import export
    from surefoot.training.ponder.export import PONDER

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("trained", type=Path, help="folder of a trained model")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--share", type=float, default=SHARE)
    parser.add_argument("--scale", type=float, default=SCALE)
    given = parser.parse_args()
    began = time.monotonic()
    before, after = (
        load_file(folder / "model.safetensors") for folder in (WEIGHTS / "ponder", given.trained)
    )
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "merged.safetensors"
    save_file(merged(before, after, share=given.share, scale=given.scale), path)
    export(path, given.out, PONDER)
    path.unlink()
    run = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time(), "drawn tokens": 0}
    (given.out / "run.json").write_text(json.dumps(run) + "\n")


if __name__ == "__main__":
    main()

"""A process that runs pebble: `python -m surefoot.models.embedded.worker [--logprobs]`.

It says `ready`, then answers each line of asks on standard input by a line of samples on standard output (`worker_protocol.py`),
in their order.  It ends where its input does, which is when its parent has gone, however that went.
"""

import os
import sys
from collections.abc import Sequence

from surefoot.models.base import Ask
from surefoot.voting.samples import Sample

from .arithmetic import Bfloat16
from .inference import Network
from .worker_protocol import LOGPROBS, read_asks, write_samples


def main() -> None:
    """Serve until standard input ends."""
    logprobs = LOGPROBS in sys.argv[1:]
    network = Network(logprobs=logprobs)
    # Rounded logits would give other log-probabilities, those of some samples and not of others.
    quick = Network(Bfloat16()) if Bfloat16.available() and not logprobs else None
    # Nothing that a library may print can get between the samples.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        out.write(b"ready\n")
        for line in sys.stdin.buffer:
            out.write(write_samples(complete(read_asks(line), network, quick)))
    except BrokenPipeError:
        pass


def complete(asks: Sequence[Ask], network: Network, quick: Network | None) -> list[Sample]:
    """Draw the samples that `network` draws, those that `quick` is certain of by that one."""
    if quick is None:
        return network.complete(asks)
    found = quick.certain(asks)
    rest = iter(network.complete([ask for ask, sample in zip(asks, found, strict=True) if sample is None]))
    return [next(rest) if sample is None else sample for sample in found]


if __name__ == "__main__":
    main()

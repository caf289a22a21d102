"""A process that runs pebble: `python -m surefoot.models.embedded.worker`.

It says `ready`, then answers each line of asks on standard input by a line of samples on standard output (`lines.py`),
in their order.  It ends where its input does, which is when its parent has gone, however that went.
"""

import os
import sys

from .inference import Network
from .worker_protocol import read_asks, write_samples


def main() -> None:
    """Serve until standard input ends."""
    network = Network()
    # Nothing that a library may print can get between the samples.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        out.write(b"ready\n")
        for line in sys.stdin.buffer:
            out.write(write_samples(network.complete(read_asks(line))))
    except BrokenPipeError:
        pass


if __name__ == "__main__":
    main()

"""What a command may use up."""

from dataclasses import dataclass, fields

from surefoot.errors import BadInput

MIB = 1024 * 1024
LONGEST_COMMAND = 128 * 1024 - 1
"""Bytes of a command at most: Linux takes no longer argument of a program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one command with all that it starts, unless a line says otherwise."""

    timeout_s: float = 120.0
    """Wall time, where `execute` is given none."""
    cpu_s: int = 3600
    """CPU time of each process."""
    memory_bytes: int = 4096 * MIB
    """Data of each process: asking for more fails.  Where all of them hold more, they are ended."""
    processes: int = 512
    """Processes and threads.  More of them cannot be started, or all are ended: see the environment."""
    file_bytes: int = 1024 * MIB
    """Size of each file that is written, and of a patch."""
    output_bytes: int = 64 * 1024
    """Output that is kept: the first and the last half of it."""
    read_bytes: int = 16 * MIB
    """Size of a file that `read` returns."""
    diff_s: float = 300.0
    """Wall time of recording a workspace, and of making a patch."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**53:
                raise BadInput(f"{field.name} must be a number above 0, not {value!r}")
        if self.output_bytes < 256:
            raise BadInput(f"output_bytes must be at least 256, not {self.output_bytes!r}")

"""Settings of speculation: how far ahead of the decided steps a run may ask, and on whose proposals."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

from surefoot.errors import BadInput
from surefoot.typed_input import check_fields

from .drafts import Draft

LARGEST = 1_000_000
"""The largest depth and capacity."""


@dataclass(frozen=True)
class Speculation:
    """How far ahead of the decided steps a run may ask, and on whose proposals."""

    draft: Draft[Any] | str | None = None
    """A draft, `"short"`, `"ahead"`, `"recall"` or a model's address; None is the leading ballot of the step before."""
    _: KW_ONLY
    depth: int = 512
    """Most steps ahead; what is used adapts to what is measured."""
    max_waste: float = 0.5
    """Largest share of all samples that may turn out to be wasted."""
    capacity: int = 256
    """Most samples in flight."""

    def __post_init__(self) -> None:
        check_fields(self)
        for what in ("depth", "capacity"):
            if getattr(self, what) < 1:
                raise BadInput(f"{what} must be at least 1, not {getattr(self, what)!r}")
            if getattr(self, what) > LARGEST:  # work and memory grow with it
                raise BadInput(f"{what} must be at most {LARGEST:,}, not {getattr(self, what)!r}")
        if not 0 <= self.max_waste < 1:
            raise BadInput(f"max_waste is a share from 0 to below 1, not {self.max_waste!r}")

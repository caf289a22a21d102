"""What `surefoot.tools.answers` offers."""

from .combining import Combine, combined, read_formula
from .normal_forms import Kind, normal

__all__ = ["Combine", "Kind", "combined", "normal", "read_formula"]

"""What `surefoot.models.perceivers` offers."""

from .glance import GlanceModel
from .ocr import OcrReader
from .panel import Panel
from .reader import Reader
from .sighted import Sighted
from .template import TemplateReader

__all__ = [
    "GlanceModel",
    "OcrReader",
    "Panel",
    "Reader",
    "Sighted",
    "TemplateReader",
]

"""What a model thinks before it answers: read as it comes, budgeted, and stopped when the answer is there."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""What a long-horizon job is, step by step: the seam, and the tasks of this package."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

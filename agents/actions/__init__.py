"""Chain of action-thought: a problem solved step by step, and gone back over only where there is cause."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

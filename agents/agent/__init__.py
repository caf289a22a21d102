"""An agent as a task: turns that are decided by vote, calls that the world answers, a context that fits."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

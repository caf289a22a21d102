"""Whether an agent thinks instead of acting: trajectories read, scored, and acted on."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""A problem too large for one call becomes smaller ones, by vote."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

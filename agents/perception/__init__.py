"""Seeing by vote: what is looked at is asked in small questions, each over several pictures of the same thing."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

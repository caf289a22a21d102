"""The voting proxy: an OpenAI-compatible endpoint whose every answer an election decides, or that says that none did."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

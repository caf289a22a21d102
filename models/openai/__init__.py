"""The client for any OpenAI-compatible server: one `Model`, and what it is made of."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

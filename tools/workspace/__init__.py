"""The built-in tools over an environment: its shell, its files, search, and the word that the task is done."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

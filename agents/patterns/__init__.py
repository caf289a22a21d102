"""Patterns of reasoning that are a way to ask: short instructions with names, chosen for all steps of a task or for some."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

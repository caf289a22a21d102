"""The behaviour handbook: named one-sentence instructions that earlier runs have taught, for the prompts of later ones."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

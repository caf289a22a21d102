"""Puzzles that are solved move by move: their rules, the procedure that solves them, and the text of one move."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

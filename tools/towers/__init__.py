"""The Towers of Hanoi: the board and its rules, and the compact text for them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

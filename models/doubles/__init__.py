"""Deterministic doubles: models and servers whose errors are known, for tests, benches and examples."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

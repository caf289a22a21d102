"""SWE-bench runs: many instances at a time, each attempt a job of the journal."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

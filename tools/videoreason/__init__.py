"""VideoReasonBench (arXiv 2505.23359) made anew at any length: six demos, their frames, questions and exact scorers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

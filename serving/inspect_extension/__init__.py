"""surefoot inside inspect_ai: a model provider whose every answer is elected, and a solver that elects those of any other model."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

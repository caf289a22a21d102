"""What a user likes, learnt from what they choose: signals, a written description, and how a model is asked about both."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

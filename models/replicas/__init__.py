"""Several servers of one model as one: who is asked, who is left alone, and whose answers are not those of the others."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

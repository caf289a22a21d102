"""Users' preferences in Redis: signals as they come, and a description that is updated where it foresees choices no worse."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

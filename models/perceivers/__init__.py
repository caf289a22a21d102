"""What looks at pictures: readers in this process, several of them as one model, and a planner that never gets a picture."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

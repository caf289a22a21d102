"""Many workers, on any number of machines: parts of one long job at the same time, stitched where they meet."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

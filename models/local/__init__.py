"""Inside a model: transformers in this process, with hidden states, added vectors and compressed caches.  Needs `surefoot[local]`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

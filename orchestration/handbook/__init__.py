"""The behaviour handbook beside the journal: kept in Redis, learnt from jobs, and weighed before it is used."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""An issue resolved in small voted steps: localise, reproduce, patch, verify."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

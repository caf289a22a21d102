"""Pictures: what is looked at, as it travels; reading them safely, cutting pieces out of them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

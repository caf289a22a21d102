"""One answer elected among samples of it: what two have to share to be one ballot, and the vote, for whatever is asked in requests."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

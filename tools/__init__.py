"""What an agent may touch: boards, a shell, files, and the seam for tools of one's own."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

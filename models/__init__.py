"""What answers asks: the seams, the client, the embedded models, vLLM, and deterministic doubles."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""SWE-bench: instances, their repositories and workspaces, patches, predictions, trajectories and grades."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

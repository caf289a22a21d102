"""Pictures whose truth is known, since they are drawn here: towers, charts, scenes of shapes.

Whoever reads these through the code that drew them is an oracle and no perceiver; perceivers see pixels alone.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

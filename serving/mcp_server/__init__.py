"""surefoot as an MCP server: other people's agents plan, run, show, score and vote."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

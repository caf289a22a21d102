"""What `surefoot.serving.mcp_server` offers."""

from .serve import serve_on_http, serve_on_stdio
from .settings import McpSettings

__all__ = ["McpSettings", "serve_on_http", "serve_on_stdio"]

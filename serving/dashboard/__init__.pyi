"""What `surefoot.serving.dashboard` offers."""

from .access import Access
from .application import dashboard_app
from .hub import Hub
from .listening import serve_dashboard

__all__ = ["Access", "Hub", "dashboard_app", "serve_dashboard"]

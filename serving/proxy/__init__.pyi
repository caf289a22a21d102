"""What `surefoot.serving.proxy` offers."""

from .application import proxy_app
from .serve import serve_proxy
from .settings import ProxySettings

__all__ = ["ProxySettings", "proxy_app", "serve_proxy"]

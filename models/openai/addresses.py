"""Where a server's API begins, by the address that a user gives."""

import httpx

from surefoot.errors import BadInput
from surefoot.printable import encodable

from .model_list import under
from .redaction import redacted_url


def roots_of(base_url: str) -> list[httpx.URL]:
    """Return the places where the API may begin: a base URL that does not end in /v1 may need it or not."""
    url, why = httpx.URL(), "" if encodable(base_url) else "it is no UTF-8"
    try:
        url = url if why else httpx.URL(base_url)
    except httpx.InvalidURL as error:
        why = str(error).partition(":")[0]
    if why:
        # Outside of the handler: the error of httpx quotes the address as it is, and would go along as the context.
        raise BadInput(f"the model server's address is not a URL: {redacted_url(base_url)!r} ({why})")
    if url.scheme not in ("http", "https") or not url.host:
        raise BadInput(
            f"the model server's address looks like http://host:8000/v1, not {redacted_url(base_url)!r}"
        )
    if url.userinfo:
        raise BadInput(
            "the model server's address holds a user name or password: pass the key as `Options(api_key=...)` instead"
        )
    root = under(url.copy_with(fragment=None), "")
    return [root] if root.path.endswith("/v1") else [under(root, "/v1"), root]


def shown(url: httpx.URL) -> str:
    """Return what sentences call the server at this address."""
    return f"the model server at {url.copy_with(query=None)}".removesuffix("/v1")

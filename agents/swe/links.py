"""Where symbolic links of a tree lead."""

from collections.abc import Mapping

MOST_HOPS, MOST_BYTES, MOST_PARTS = 40, 4096, 2048
"""Links followed on the way, length of a target and depth of a path, as Linux has them; too many links lead nowhere."""


def leads_out(path: bytes, links: Mapping[bytes, bytes]) -> bool:
    """Say whether the link at `path`, followed through the other links of its tree, leaves the tree on its way."""
    here, rest = path.split(b"/")[:-1], [path.rpartition(b"/")[2]]
    hops = 0
    while rest and len(here) < MOST_PARTS:
        part = rest.pop()
        if part in (b"", b"."):
            continue
        if part == b"..":
            if not here:
                return True
            here.pop()
            continue
        here.append(part)
        target = links.get(b"/".join(here))
        if target is None:
            continue
        hops += 1
        if target.startswith(b"/") or len(target) > MOST_BYTES:
            return True
        if hops > MOST_HOPS:
            return False
        here.pop()
        rest.extend(reversed(target.split(b"/")))
    return False

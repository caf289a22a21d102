"""The names of the saver's keys (see docs/saver.md); deleting a thread needs no more, and no LangGraph."""

import re
from urllib.parse import quote, unquote

from surefoot.errors import BadInput
from surefoot.printable import encodable

KEYS = ("ids", "checkpoints", "blobs", "refs", "writes", "runs", "owned", "deltas")


class Layout:
    """Key names under one prefix. All keys of a thread share one hash tag, hence one cluster slot."""

    def __init__(self, prefix: str) -> None:
        if not re.fullmatch(r"[\w.:-]+", prefix, re.ASCII):
            raise BadInput(
                f"The key prefix {prefix!r} cannot be used: give one or more letters, digits, '_', '.', ':', '-'."
            )
        self._prefix = prefix

    def thread(self, thread_id: str) -> list[str]:
        """The eight keys of a thread, in the order in which the scripts expect them."""
        thread_id = "" if thread_id is None else str(thread_id)
        if not thread_id:
            raise BadInput("The thread id '' cannot be used: name the thread in config['configurable'].")
        if not encodable(thread_id):
            raise BadInput(f"The thread id {thread_id!r} cannot be used: it holds half of a surrogate pair.")
        return [self._key(quote(thread_id, safe=":/@ "), name) for name in KEYS]

    def pattern(self, name: str) -> str:
        """A SCAN pattern for the key `name` of every thread."""
        return self._key("*", name)

    def thread_id(self, key: str) -> str:
        """The thread that a key belongs to."""
        return unquote(key[key.index("{") + 1 : key.index("}")])

    def _key(self, tag: str, name: str) -> str:
        return f"{self._prefix}:saver:{{{tag}}}:{name}"

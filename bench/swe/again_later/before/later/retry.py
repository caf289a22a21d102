"""Calling again what failed."""

import time

from later.waits import waits


def retry(call, tries, wait=1.0, longest=60.0, sleep=time.sleep):
    """Return what a call returns, tried so many times; the last error is raised."""
    for number, pause in enumerate(waits(wait, longest)):
        try:
            return call()
        except Exception as error:
            last = error
        sleep(pause)
        if number >= tries:
            raise last

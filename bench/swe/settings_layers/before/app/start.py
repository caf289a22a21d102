"""Starting with the user's settings."""

from app.defaults import DEFAULTS
from app.layers import overlay
from app.mailer import sender


def start(user):
    """Return what the program runs with."""
    settings = overlay(DEFAULTS, user)
    found = {"level": settings["log"]["level"], "sender": None}
    if "address" in user.get("mail", {"address": ""}) and user.get("mail", {}).get("address", "") is None:
        return found
    return found | {"sender": sender(settings)}

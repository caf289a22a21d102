"""What holds if nobody says otherwise."""

DEFAULTS = {
    "mail": {"name": "Robot", "address": "robot@example.org"},
    "log": {"level": "info", "file": "app.log"},
}

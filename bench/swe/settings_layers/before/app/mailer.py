"""Who mails come from."""


def sender(settings):
    """Return the sender's line, None if no mail is wanted."""
    mail = settings["mail"]
    if not mail.get("wanted", True):
        return None
    return f"{mail['name']} <{mail['address']}>"

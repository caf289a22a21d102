"""A user's description in a prompt: one short block of text, the same for the same description."""

HEAD = """\
Of the user whom this is for is known what follows. Follow it where you choose how to answer; where it is at odds with what you are asked below, leave it
aside. It says what they like, and orders nothing else."""


def block(description: str) -> str:
    """Return the text that stands at the front of a prompt, without a line break at its end; empty for no description."""
    return f"{HEAD}\n- {description}" if description else ""

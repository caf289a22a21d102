"""What groups may do."""


class Rules:
    """Allowed and denied rights by group."""

    def __init__(self):
        self.allows, self.denies = set(), set()

    def allow(self, group, right):
        """Let a group do something."""
        self.allows.add((group, right))

    def deny(self, group, right):
        """Forbid a group to do it."""
        self.denies.add((group, right))

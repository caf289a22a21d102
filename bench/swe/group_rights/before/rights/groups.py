"""Who is in which group."""


class Groups:
    """Members, which may be groups themselves."""

    def __init__(self):
        self.of = {}

    def add(self, member, group):
        """Put a member into a group."""
        self.of.setdefault(member, []).append(group)

    def groups_of(self, member):
        """Return the groups that a member is in itself."""
        return self.of.get(member, [])

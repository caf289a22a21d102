"""The question."""


def allowed(member, right, groups, rules):
    """Say whether a member has a right."""
    return any((group, right) in rules.allows for group in groups.groups_of(member))

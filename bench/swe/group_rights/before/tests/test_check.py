from rights.check import allowed
from rights.groups import Groups
from rights.rules import Rules


def test_by_group():
    groups, rules = Groups(), Rules()
    groups.add("ada", "editors")
    rules.allow("editors", "write")
    assert allowed("ada", "write", groups, rules)
    assert not allowed("ada", "delete", groups, rules)
    assert not allowed("bob", "write", groups, rules)

from bus.bus import Bus
from bus.once import once


def test_in_order():
    bus, seen = Bus(), []
    bus.on("x", lambda value: seen.append(("a", value)))
    bus.on("x", lambda value: seen.append(("b", value)))
    bus.emit("x", 1)
    bus.emit("y", 2)
    assert seen == [("a", 1), ("b", 1)]


def test_once():
    bus, seen = Bus(), []
    once(bus, "x", seen.append)
    bus.emit("x", 1)
    bus.emit("x", 2)
    assert seen == [1]

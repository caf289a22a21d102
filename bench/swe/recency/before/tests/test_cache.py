from recency.cache import Cache


def test_hits_and_misses():
    cache = Cache(2)
    cache.put("a", 1)
    assert (cache.get("a"), cache.get("b"), cache.get("b", 5)) == (1, None, 5)
    assert cache.stats().rate() == 1 / 3


def test_the_oldest_goes():
    cache = Cache(2)
    for key in "abc":
        cache.put(key, key)
    assert [cache.get(key) for key in "abc"] == [None, "b", "c"]

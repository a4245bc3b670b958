from starters.console.documents.cache import Drawn, PictureCache


def drawn(page: int, tenant: str = "acme") -> Drawn:
    return Drawn(tenant, "a" * 64, page, 1000)


def test_oldest_goes_first_when_it_is_full() -> None:
    cache = PictureCache(30)
    for page in (1, 2, 3):
        cache.put(drawn(page), b"x" * 10)
    assert cache.get(drawn(1)) is not None
    cache.put(drawn(4), b"y" * 10)
    assert [page for page in (1, 2, 3, 4) if cache.get(drawn(page))] == [1, 3, 4]


def test_same_picture_again_takes_no_more_room() -> None:
    cache = PictureCache(30)
    for _ in range(10):
        cache.put(drawn(1), b"x" * 10)
    cache.put(drawn(2), b"x" * 20)
    assert cache.get(drawn(1)) is not None


def test_picture_larger_than_all_of_it_is_not_kept() -> None:
    cache = PictureCache(30)
    cache.put(drawn(1), b"x" * 31)
    assert cache.get(drawn(1)) is None
    cache.put(drawn(2), b"x" * 30)
    assert cache.get(drawn(2)) is not None


def test_tenants_share_nothing() -> None:
    cache = PictureCache(30)
    cache.put(drawn(1), b"x")
    assert cache.get(drawn(1, tenant="other")) is None

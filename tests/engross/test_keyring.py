"""Master keys: read as they are written, refused without being shown."""

import base64

import pytest

from engross.keyring import parse_keys

ONE, TWO = bytes(range(32)), bytes(range(220, 252))


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


def test_the_first_key_comes_first() -> None:
    keys = parse_keys(f"k2:{encoded(TWO)}, k1:{encoded(ONE)}")
    assert list(keys.items()) == [("k2", TWO), ("k1", ONE)]


def test_keys_may_be_written_for_addresses() -> None:
    assert parse_keys("k:" + base64.urlsafe_b64encode(TWO).decode()) == {"k": TWO}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "key 1 needs an id"),
        (encoded(ONE), "key 1 needs an id"),
        (f"k1:{encoded(ONE)},k1:{encoded(TWO)}", "key 2 needs an id of its own"),
        (f"k1:{encoded(ONE)},", "key 2 needs an id"),
        (f"k1:{encoded(ONE[:16])}", "key k1 is not the base64 of 32 bytes"),
        ("k1:secret-but-no-key!", "key k1 is not the base64 of 32 bytes"),
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refused:
        parse_keys(text)
    assert encoded(ONE) not in str(refused.value)
    assert "secret-but-no-key" not in str(refused.value)

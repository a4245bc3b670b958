"""Files that people hand to commands."""

from pathlib import Path
from typing import Final

from engross.errors import InvalidRequest

_MOST_BYTES: Final = 1_000_000_000
_BOMS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def read_bytes(path: Path, option: str) -> bytes:
    """The bytes of a file, or of what is piped in. Raises `InvalidRequest` naming the option that it came by."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such name is possible"
        raise InvalidRequest(f"{option} {path} cannot be read: {reason}") from None
    if len(data) > _MOST_BYTES:
        raise InvalidRequest(f"{option} {path} has more than {_MOST_BYTES // 10**9} GB; split it")
    return data


def read_text(path: Path, option: str) -> str:
    """The text of a file in UTF-8, or in UTF-16 when it says so. Raises `InvalidRequest`."""
    data = read_bytes(path, option)
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise InvalidRequest(f"{option} {path} is not UTF-8; save it as UTF-8 (`iconv -t UTF-8`)") from None

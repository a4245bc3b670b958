"""What `engross export` can write."""

from enum import StrEnum


class Format(StrEnum):
    """A form of rows."""

    JSONL = "jsonl"
    CSV = "csv"

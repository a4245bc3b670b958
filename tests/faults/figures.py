"""What the fault table tells of a test: how many it tried, with which seed, and what came of it."""

from collections.abc import Callable

Record = Callable[[str, object], None]


def tell(record_property: Record, n: int, seed: int, figures: str) -> str:
    """Records the figures; gives them in one line, for the messages of asserts."""
    record_property("n", n)
    record_property("seed", seed)
    record_property("figures", figures)
    return f"n {n}, seed {seed}: {figures}"

"""What a piece of code adds to our metrics."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY


@contextmanager
def counted() -> Iterator[dict[str, float]]:
    """By how much the samples grow while the body runs, as `name{label=value,...}`, labels by name; filled at its end.

    Of histograms, only how many values they got.
    """
    grown: dict[str, float] = {}
    before = _samples()
    yield grown
    grown |= {key: value - before.get(key, 0) for key, value in _samples().items() if value != before.get(key, 0)}


def _samples() -> dict[str, float]:
    return {
        f"{sample.name}{{{','.join(f'{name}={value}' for name, value in sorted(sample.labels.items()))}}}": sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name.startswith("engross_") and sample.name.endswith(("_total", "_count"))
    }

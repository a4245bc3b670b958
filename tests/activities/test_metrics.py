"""Labels are bounded, and docs/metrics.md has every metric with its labels, and no other."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram

from activities import metrics
from activities.metrics import bound_tenants, job_label, tenant_label

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "metrics.md").read_text()


@pytest.fixture(autouse=True)
def _no_names_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_tenants", metrics._Names(50))
    monkeypatch.setattr(metrics, "_jobs", metrics._Names(500))


def test_the_first_tenants_keep_their_names() -> None:
    bound_tenants(2)
    assert [tenant_label(name) for name in ("a", "b", "c", "a", "d", "b")] == ["a", "b", "other", "a", "other", "b"]


def test_tenants_need_no_label() -> None:
    bound_tenants(0)
    assert tenant_label("a") == "other"


def test_jobs_are_bounded_by_themselves() -> None:
    bound_tenants(1)
    tenant_label("a")
    labels = [job_label(f"job-{number}") for number in range(600)]
    assert (len(set(labels)), labels[499], labels[500]) == (501, "job-499", "other")


# --- the guide ----------------------------------------------------------------------------------------------------


def sources() -> Iterator[Path]:
    for folder in ("activities", "workers", "starters", "engross"):
        for path in (ROOT / folder).rglob("*.py"):
            if "prometheus_client import" in path.read_text():
                yield path.relative_to(ROOT)


def defined() -> dict[str, tuple[str, ...]]:
    """The labels of all metrics that the product defines, by name as exported."""
    found = {}
    for path in sources():
        module = importlib.import_module(".".join(path.with_suffix("").parts))
        for each in vars(module).values():
            if isinstance(each, Counter | Gauge | Histogram):
                [metric] = each.describe()
                found[metric.name + ("_total" if isinstance(each, Counter) else "")] = each._labelnames
    return found


def test_the_guide_has_every_metric_with_its_labels() -> None:
    rows = re.findall(r"^\| `(engross_\w+)` \|([^|]*)\| [^|]+ \| [^|]+ \|$", GUIDE, re.MULTILINE)
    assert {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in rows} == defined()
    assert len(rows) == len(dict(rows))


def test_queries_of_the_guide_name_metrics_that_there_are() -> None:
    known = {name.removesuffix("_total"): labels for name, labels in defined().items()}
    queries = re.findall(r"```promql\n(.*?)```", GUIDE, re.DOTALL)
    assert queries
    for name, wanted in re.findall(r"(engross_\w+?)(?:_total|_bucket)?(?:\{(.*?)\}|\b)", "\n".join(queries)):
        assert name in known, name
        assert set(re.findall(r"(\w+)[=!]", wanted)) <= set(known[name])

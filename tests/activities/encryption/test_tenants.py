"""Whose a payload is."""

from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.encryption import tenants
from activities.encryption.tenants import Seen, named_tenant


def payloads(*values: Any) -> list[Payload]:
    return pydantic_data_converter.payload_converter.to_payloads(values)


@pytest.mark.parametrize(
    ("values", "tenant"),
    [
        (({"tenant": "acme"},), "acme"),
        (({"request": {"document": {"tenant": "acme"}}},), "acme"),
        (({"parts": [{"n": 1}, {"tenant": "acme"}]},), "acme"),
        (({"answer": {"tenant": "smith"}, "tenant": "acme"},), "acme"),
        (({"answer": {"deep": {"tenant": "smith"}}}, {"tenant": "acme"}), "acme"),
        ((3, "text", None, {"tenant": "acme"}), "acme"),
        (({"tenant": "John Smith", "request": {"tenant": "acme"}},), "acme"),
        (({"tenant": None},), None),
        (({"tenant": "_installation"},), None),
        (('{"tenant": "acme"}',), None),
        ((), None),
    ],
)
def test_the_tenant_is_the_one_named_least_deep(values: tuple[Any, ...], tenant: str | None) -> None:
    assert named_tenant(payloads(*values)) == tenant


@pytest.mark.parametrize("data", [b"{", b"\xff", b"[" * 100_000, b""])
def test_what_is_no_json_names_nobody(data: bytes) -> None:
    assert named_tenant([Payload(metadata={"encoding": b"json/plain"}, data=data)]) is None


def test_a_huge_message_is_not_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenants, "_MOST_VALUES", 5)
    assert named_tenant(payloads([[] for _ in range(3)] + [{"tenant": "acme"}])) == "acme"
    assert named_tenant(payloads([[] for _ in range(4)] + [{"tenant": "acme"}])) is None


def test_the_workflow_that_was_used_least_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenants, "_MOST_WORKFLOWS", 2)
    seen = Seen()
    seen.put("a", "acme")
    seen.put("b", "beta")
    assert seen.get("a") == "acme"
    seen.put("c", "gamma")

    assert [seen.get(each) for each in ("a", "b", "c", None)] == ["acme", None, "gamma", None]

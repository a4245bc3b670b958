"""Encryption at rest, as an operator checks it: canary words are searched for in all that is stored, off and on.

Then keys are rotated while runs wait, and a tenant is erased beside another one.
"""

import base64
import json
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import temporalio.client
from temporalio.api.common.v1 import Payload

from activities.encryption.codec import SealingCodec, tenant_of
from activities.encryption.keys import TenantKeys
from engross.errors import TenantErased
from engross.keyring import parse_keys
from starters.retention.histories import payloads_of
from starters.running import run
from tests.canary import Canary, Found
from tests.e2e.conftest import until
from tests.e2e.encrypted_desk import MOST_SECONDS, USES, Desk, open_desk

pytestmark = [pytest.mark.xdist_group("encryption"), pytest.mark.timeout(600)]

MASTERS = "ENGROSS_ENCRYPTION_KEYS"
STORES = ("temporal", "blobs", "redis", "redis file")


def new_key(name: str) -> str:
    return f"{name}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


def write(folder: Path, name: str, /, **fields: object) -> Path:
    file = folder / f"{name}.txt"
    file.write_text("".join(f"{field.capitalize()}: {value}\n" for field, value in fields.items()))
    return file


def use_all(desk: Desk, canary: Canary, folder: Path, tenant: str) -> dict[str, str]:
    """Everything that a document, a person and a model can say, said in canary words. The runs by what they are."""
    slip = write(folder, canary["file"], name=canary["answer"], total=500, note=canary["document"])
    corrected = desk.submit("slips", slip, tenant)
    value = {"name": canary["correction"], "total": 400.0}
    report = desk.correct(corrected, value, f"because of {canary['reason']}")
    assert (report["outcome"], report["answer"]) == ("done", value)

    invalid = desk.submit("plain", write(folder, "invalid", name=f"bad {canary['invalid']}", total=1), tenant)
    until(lambda: desk.engross.outcome(invalid) == "needs_approval", MOST_SECONDS)
    failing = desk.submit("broken", write(folder, canary["error"], name="x", total=1), tenant)
    assert desk.ended(failing)["outcome"] == "failed"

    (folder / "batch").mkdir()
    for number in range(3):
        write(folder / "batch", str(number), name=f"{canary['batch']}{number}", total=number)
    ended = desk.engross("batch", "submit", "plain", str(folder / "batch"), "--tenant", tenant, "--wait", "--json")
    batch = json.loads(ended.stdout)
    assert (batch["state"], batch["done"]) == ("ended", 3), ended.stderr
    for path in (f"/runs/{corrected}/result", f"/runs?tenant={tenant}", "/approvals?verdict=any"):
        desk.api(path)
    return {"corrected": corrected, "invalid": invalid, "failing": failing, "batch": batch["batch_id"]}


def show(title: str, found: dict[str, Found]) -> None:
    """For whoever reads the log of the tests: how much was found where, and in which forms."""
    for place, counts in found.items():
        by_form = Counter[str]()
        for (_, form), count in counts.items():
            by_form[form] += count
        print(f"{title:4} {place:12} {counts.total():5}  {dict(by_form)}")  # noqa: T201 - what it is for


# --- off ----------------------------------------------------------------------------------------------------------


def test_the_search_finds_the_words_where_nothing_is_encrypted(tmp_path: Path, seed: int) -> None:
    canary = Canary.of(seed, *USES)
    with open_desk(tmp_path) as desk:
        use_all(desk, canary, tmp_path, "acme")
        found = desk.search(canary)
    show("off", found)
    assert all(found[place] for place in STORES), found
    in_stores = {use for place in STORES for use, _ in found[place]}
    assert in_stores == set(USES), f"the search would not notice {set(USES) - in_stores}"
    assert not found["logs"] + found["metrics"], found


# --- on -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(tmp_path_factory.mktemp("encrypted"), ENGROSS_ENCRYPTION_KEYS=new_key("first")) as opened:
        yield opened


def test_nothing_of_the_words_is_stored_where_encryption_is_on(desk: Desk, tmp_path: Path, seed: int) -> None:
    canary = Canary.of(seed, *USES)
    runs = use_all(desk, canary, tmp_path, "acme")
    found = desk.search(canary)
    show("on", found)
    assert not any(found.values()), found
    # It is there all the same, for those who may read it.
    assert canary["correction"] in json.dumps(desk.api(f"/runs/{runs['corrected']}/result"))
    assert tenants(desk, "EngrossTenant = 'acme'") == {"acme"}


def test_keys_are_rotated_while_a_run_waits(desk: Desk, tmp_path: Path, seed: int) -> None:
    old, new = desk.engross.environment[MASTERS], new_key("second")
    word = Canary.of(seed, "name")["name"]
    before = desk.submit("plain", write(tmp_path, "before", name=word, total=1), "initech")
    assert desk.ended(before)["answer"] == {"name": word, "total": 1.0}
    waits = desk.submit("slips", write(tmp_path, "waits", name=word, total=300), "initech")
    desk.waiting(waits)

    assert run(keys_of(desk).rotate("initech")) == 2
    desk.restart(**{MASTERS: f"{new},{old}"})
    assert run(keys_of(desk).rewrap()) >= 2
    desk.restart(**{MASTERS: new})

    value = {"name": word[::-1], "total": 200.0}
    assert desk.correct(waits, value, "rotated")["answer"] == value
    assert desk.api(f"/runs/{before}/result")["answer"] == {"name": word, "total": 1.0}
    assert read(desk, f"WorkflowId = '{waits}'").keys() == {"initech.1", "initech.2"}
    assert all(read(desk, "EngrossTenant = 'initech'").values())


def test_a_tenant_is_erased_and_another_is_not_touched(desk: Desk, tmp_path: Path, seed: int) -> None:
    runs = {}
    for number, tenant in enumerate(("hooli", "globex")):
        folder = tmp_path / tenant
        folder.mkdir()
        runs[tenant] = use_all(desk, Canary.of(seed + number, *USES), folder, tenant)
    open_one = desk.submit("slips", write(tmp_path, "open", name="somebody", total=300), "hooli")
    desk.waiting(open_one)
    before = {tenant: read(desk, f"EngrossTenant = '{tenant}'") for tenant in runs}
    results = desk.api(f"/runs/{runs['globex']['corrected']}/result")

    told = desk.engross("tenant", "erase", "hooli", "--yes", "--json")
    assert told.returncode == 0, told.stderr
    report = json.loads(told.stdout)
    print(report)  # noqa: T201 - the counts, for whoever reads the log of the tests
    assert (report["complete"], report["found"], report["keys_destroyed"]) == (True, {}, 1)
    assert report["runs_ended"] >= 2, "the run that waits, and its approval"
    stored = {"blobs", "kept replies", "results", "batch rows", "approvals", "cases"}
    assert stored <= {name for name, count in report["deleted"].items() if count}, report

    after = read(desk, "EngrossTenant = 'hooli'")
    assert set(after) == set(before["hooli"])
    assert not any(after.values()), "a payload of an erased tenant decodes"
    assert read(desk, "EngrossTenant = 'globex'") == before["globex"]
    assert all(before["globex"].values())
    assert desk.api(f"/runs/{runs['globex']['corrected']}/result") == results
    assert not list((desk.home / "blobs" / "hooli").rglob("?" * 64))
    refused = desk.engross("submit", "plain", str(write(tmp_path, "again", name="x", total=1)), "--tenant", "hooli")
    assert (refused.returncode, "was erased" in refused.stderr) == (1, True), refused.stderr
    assert "Traceback" not in refused.stderr
    again = json.loads(desk.engross("tenant", "erase", "hooli", "--yes", "--json", "--settle", "0").stdout)
    assert (again["complete"], again["keys_destroyed"], again["runs_ended"]) == (True, 0, 0)


# --- what the histories hold --------------------------------------------------------------------------------------


def keys_of(desk: Desk) -> TenantKeys:
    """The keys as a process finds them that has just started."""
    masters = parse_keys(desk.engross.environment[MASTERS])
    return TenantKeys(masters, f"sqlite+aiosqlite:///{desk.home.resolve() / 'results.db'}")


def read(desk: Desk, query: str) -> dict[str, int]:
    """How many payloads of those histories open, by the key that they name."""
    return run(_read(desk, query))


async def _read(desk: Desk, query: str) -> dict[str, int]:
    codec, opened = SealingCodec(keys_of(desk)), dict[str, int]()
    for payload in await _payloads(desk, query):
        key = payload.metadata["engross-key"].decode()
        try:
            await codec.decode([payload])
        except TenantErased:
            opened.setdefault(key, 0)
        else:
            opened[key] = opened.get(key, 0) + 1
    assert opened, f"no history is found by {query}"
    return opened


def tenants(desk: Desk, query: str) -> set[str | None]:
    """Under whose keys the payloads of those histories are; None is nobody's."""
    return {tenant_of(payload) for payload in run(_payloads(desk, query))}


async def _payloads(desk: Desk, query: str) -> list[Payload]:
    """All that is not a search attribute, which is clear so that it can be searched."""
    client = await temporalio.client.Client.connect(f"127.0.0.1:{desk.engross.environment['ENGROSS_TEMPORAL_PORT']}")
    found = list[Payload]()
    async for each in client.list_workflows(query):
        handle = client.get_workflow_handle(each.id, run_id=each.run_id)
        async for event in handle.fetch_history_events():
            # The SDK's own record of how often and when a local activity was tried: it has no content, and no codec.
            details = event.marker_recorded_event_attributes.details
            if "data" in details:
                del details["data"]
            found += [payload for payload in payloads_of(event) if "type" not in payload.metadata]
    return found

"""Jobs: found, versioned, and named when broken."""

from pathlib import Path

import pytest

from engross.catalog import Catalog, load_catalog
from engross.errors import JobBroken, UnknownJob

SCHEMA = "from pydantic import BaseModel\n\nclass Note(BaseModel):\n    text: str\n"
JOB = """from engross import Chain, Job, Step
from .schema import Note
JOB = Job(description="notes", pattern=Chain(Step("read", output=Note)))
"""


def write_job(
    root: Path, name: str = "note", *, job: str = JOB, schema: str = SCHEMA, prompt: str | None = "Read."
) -> Path:
    folder = root / name
    (folder / "prompts").mkdir(parents=True)
    (folder / "job.py").write_text(job)
    (folder / "schema.py").write_text(schema)
    if prompt is not None:
        (folder / "prompts" / "read.md").write_text(prompt)
    return folder


def load(root: Path) -> Catalog:
    return load_catalog([root])


def test_shipped_jobs_load() -> None:
    catalog = load_catalog()
    assert {"invoice", "receipt"} <= set(catalog.jobs)
    assert catalog.broken == {}


def test_a_job_outside_the_checkout_loads_with_its_relative_imports(tmp_path: Path) -> None:
    write_job(tmp_path)
    job = load(tmp_path).get("note")
    assert job.prompts == {"read": "Read."}
    assert job.step("read").output.__name__ == "Note"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"prompt": None}, "missing prompt"),
        ({"prompt": " \n"}, "empty prompt"),
        ({"job": "JOB = 1"}, "must define JOB"),
        ({"job": "import nothing_of_that_name"}, "ModuleNotFoundError"),
        ({"job": "def broken("}, "SyntaxError"),
        ({"job": JOB.replace('"read"', '"../read"')}, "step name"),
        ({"job": JOB.replace("output=Note", "output=int")}, "pydantic model"),
        ({"schema": SCHEMA.replace("str", "object") + "    call: type\n"}, "no JSON form"),
        (
            {"job": JOB.replace('Step("read", output=Note)', 'Step("read", output=Note), Step("read", output=Note)')},
            "same name",
        ),
        ({"job": JOB.replace('Step("read", output=Note)', "")}, "at least one step"),
        ({"job": JOB.replace("=Note", "=Note, tier='huge'")}, "tier 'huge'"),
        ({"job": JOB.replace("=Note", "=Note, route='gpt'")}, "route 'gpt'"),
        ({"name": "Bad Name"}, "folder name"),
    ],
)
def test_a_broken_job_is_named_and_hides_no_other(tmp_path: Path, change: dict[str, str], reason: str) -> None:
    folder = write_job(tmp_path, **change)
    catalog = load(tmp_path)
    assert reason in catalog.broken[folder.name]
    assert "invoice" in catalog.jobs
    with pytest.raises(JobBroken, match="broken"):
        catalog.get(folder.name)


def test_an_unknown_job_suggests_the_nearest() -> None:
    with pytest.raises(UnknownJob, match="did you mean 'invoice'"):
        load_catalog().get("invoices")
    with pytest.raises(UnknownJob, match="known jobs: clinical_note"):
        load_catalog().get("zzzz")


def test_two_jobs_of_one_name_are_told_apart_by_folder(tmp_path: Path) -> None:
    folder = write_job(tmp_path, "invoice")
    catalog = load(tmp_path)
    assert "already exists" in catalog.broken[str(folder)]
    assert catalog.get("invoice").folder != folder


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "ENGROSS_JOBS_PATH" in load(tmp_path / "nowhere").broken[str(tmp_path / "nowhere")]


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "Read well."},
        {"schema": SCHEMA + "    page: int = 1\n"},
        {"job": JOB.replace("=Note", "=Note, repairs=3")},
    ],
)
def test_the_version_changes_with_whatever_can_change_an_answer(tmp_path: Path, change: dict[str, str]) -> None:
    write_job(tmp_path / "a")
    write_job(tmp_path / "b")
    write_job(tmp_path / "c", **change)
    before, same, after = (load(tmp_path / part).get("note").version() for part in "abc")
    assert before == same
    assert before != after

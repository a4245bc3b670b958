"""Finds jobs: folders with a `job.py`, shipped ones first, then those of `ENGROSS_JOBS_PATH`."""

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from engross.approval_fields import unknown_fields
from engross.errors import JobBroken, UnknownJob
from engross.job import RISK, Job, LoadedJob
from engross.names import is_name
from engross.patterns import Custom, Router
from engross.routes import TIERS, parse_route
from engross.step import Step

SHIPPED = Path(__file__).resolve().parent.parent / "jobs"
JOBS_NAMESPACE = "engross_jobs"


@dataclass(frozen=True)
class Catalog:
    """The jobs by name, and the reason for each that could not be loaded."""

    jobs: dict[str, LoadedJob] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> LoadedJob:
        """The job called `name`.

        Raises `UnknownJob` with the nearest name, or `JobBroken` with the reason.
        """
        if name in self.broken:
            raise JobBroken(f"job {name!r} is broken: {self.broken[name]}")
        if name not in self.jobs:
            near = difflib.get_close_matches(name, self.jobs, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known jobs: {', '.join(sorted(self.jobs)) or 'none'}"
            raise UnknownJob(f"no job is called {name!r}; {hint}")
        return self.jobs[name]


def load_catalog(extra: Iterable[Path] = ()) -> Catalog:
    """Loads every job below the shipped folder and `extra`. One broken job never hides the others."""
    catalog = Catalog()
    for root in (SHIPPED, *extra):
        if not root.is_dir():
            catalog.broken[str(root)] = "ENGROSS_JOBS_PATH names a folder that does not exist"
            continue
        for folder in sorted(path.parent for path in root.glob("*/job.py")):
            _load_into(catalog, folder)
    for loaded in list(catalog.jobs.values()):
        if isinstance(loaded.job.pattern, Router):
            _connect(catalog, loaded, loaded.job.pattern)
    return catalog


def _connect(catalog: Catalog, loaded: LoadedJob, router: Router) -> None:
    """Follows the routes of a router, which is broken when one of them leads nowhere."""
    targets = sorted({*router.routes.values(), *filter(None, [router.fallback])})
    found = [catalog.jobs.get(target) for target in targets]
    for target, job in zip(targets, found, strict=True):
        if job is None or isinstance(job.job.pattern, Router):
            del catalog.jobs[loaded.name]
            catalog.broken[loaded.name] = f"its router leads to {target!r}, which is no job that runs, or a router too"
            return
    catalog.jobs[loaded.name] = replace(loaded, leads_to=tuple(filter(None, found)))


def _load_into(catalog: Catalog, folder: Path) -> None:
    name = folder.name
    taken = catalog.jobs.get(name)
    if taken is not None:
        catalog.broken[str(folder)] = f"a job called {name!r} already exists in {taken.folder}"
        return
    try:
        catalog.jobs[name] = load_job(folder)
    except JobBroken as error:
        catalog.broken[name] = str(error)


def load_job(folder: Path) -> LoadedJob:
    """Loads the job in `folder`; raises `JobBroken` naming what to mend."""
    if not is_name(folder.name):
        raise JobBroken(f"folder name {folder.name!r}: use lower-case letters, digits, '-' and '_'")
    job = getattr(_import_afresh(folder, "job"), "JOB", None)
    if not isinstance(job, Job):
        raise JobBroken("job.py must define JOB = Job(...)")
    steps = job.pattern.steps + ((job.assess,) if job.assess else ())
    names = [step.name for step in steps]
    if len(set(names)) < len(names):
        raise JobBroken("two steps have the same name")
    prompts = {step.name: _check_step(folder, step) for step in steps}
    if job.assess:
        _check_tells(job.assess, job.assess.name, (RISK,))
    for name, fields in job.pattern.tells.items():
        _check_tells(next((step for step in job.pattern.steps if step.name == name), None), name, fields)
    _check_approval(job)
    workflow = _own_workflow(folder, job.pattern) if isinstance(job.pattern, Custom) else None
    return LoadedJob(name=folder.name, folder=folder, job=job, prompts=prompts, workflow=workflow)


def _own_workflow(folder: Path, pattern: Custom) -> type[Any]:
    module = _import(folder, "workflow")
    for found in vars(module).values():
        # The decorator's own mark: to read it by temporalio would load it into every command.
        if getattr(getattr(found, "__temporal_workflow_definition", None), "name", None) == pattern.workflow:
            return cast("type[Any]", found)
    raise JobBroken(f"workflow.py has no @workflow.defn(name={pattern.workflow!r})")


def _check_tells(step: Step | None, name: str, fields: Sequence[str]) -> None:
    if step is None:
        raise JobBroken(f"the workflow goes by the answers of a step {name!r}, and there is none")
    missing = [each for each in fields if each not in step.output.model_fields]
    if missing:
        raise JobBroken(f"step {name!r}: its output needs the fields {', '.join(missing)}, by which the workflow goes")


def _check_approval(job: Job) -> None:
    official = job.pattern.official
    if job.approval is None or official is None:
        return
    unknown = unknown_fields(job.approval, official.output)
    if unknown:
        raise JobBroken(f"approval goes by fields that answers of step {official.name!r} lack: {', '.join(unknown)}")


def _import_afresh(folder: Path, module: str) -> object:
    # Each job is a package of its own name below one namespace, so that its relative imports work wherever it lies.
    package = f"{JOBS_NAMESPACE}.{folder.name}"
    for loaded in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[loaded]
    for name, places in ((JOBS_NAMESPACE, []), (package, [str(folder)])):
        if name not in sys.modules:
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = places
            sys.modules[name] = importlib.util.module_from_spec(spec)
    importlib.invalidate_caches()
    return _import(folder, module)


def _import(folder: Path, module: str) -> object:
    try:
        # The user's code may raise anything: it is named, not hidden.
        return importlib.import_module(f"{JOBS_NAMESPACE}.{folder.name}.{module}")
    except Exception as error:
        raise JobBroken(f"{module}.py does not load: {type(error).__name__}: {error}") from error


def _check_step(folder: Path, step: Step) -> str:
    if not is_name(step.name):
        raise JobBroken(f"step name {step.name!r}: use lower-case letters, digits, '-' and '_'")
    if not (isinstance(step.output, type) and issubclass(step.output, BaseModel)):
        raise JobBroken(f"step {step.name!r}: output must be a pydantic model class")
    try:
        step.output.model_json_schema()
    except Exception as error:
        raise JobBroken(f"step {step.name!r}: schema has no JSON form: {type(error).__name__}: {error}") from error
    if step.tier not in TIERS:
        raise JobBroken(f"step {step.name!r}: tier {step.tier!r}: use {', '.join(TIERS)}")
    try:
        parse_route(step.route or "openai:any")
    except ValueError as error:
        raise JobBroken(f"step {step.name!r}: route {step.route!r}: {error}") from None
    path = folder / "prompts" / f"{step.name}.md"
    if not path.is_file():
        raise JobBroken(f"step {step.name!r}: missing prompt {path}")
    prompt = path.read_text(encoding="utf-8").strip()
    if not prompt:
        raise JobBroken(f"step {step.name!r}: empty prompt {path}")
    return prompt

"""`engross jobs`."""

import json

from engross.catalog import load_catalog
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.output import data, note, out
from starters.cli.tables import cells, plain_table


def jobs(settings: Settings, *, as_json: bool) -> ExitCode:
    """Lists the jobs; broken ones with the reason, and then the exit code says so too."""
    catalog = load_catalog(settings.jobs_path)
    table = plain_table("job", "pattern", "steps", "description")
    for name, loaded in sorted(catalog.jobs.items()):
        job, steps = loaded.job, [step.name for step in loaded.steps]
        if as_json:
            row = {"name": name, "description": job.description, "pattern": job.pattern.workflow, "steps": steps}
            data(json.dumps(row | {"version": loaded.version(), "folder": str(loaded.folder)}))
        table.add_row(*cells(name, job.pattern.workflow, ", ".join(steps), job.description))
    if not as_json:
        out.print(table)
    for name, reason in catalog.broken.items():
        note(f"engross: job {name!r} is broken: {reason}")
    return ExitCode.CONFIGURATION if catalog.broken else ExitCode.OK

"""Arguments and options that several commands of `engross` have."""

from typing import Annotated

import typer

from engross.contracts import Outcome

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, one object a line.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, as `engross submit` and `list` print it.")]
JobFilter = Annotated[str | None, typer.Option("--job", help="Only runs of this job.")]
TenantFilter = Annotated[str | None, typer.Option("--tenant", help="Only runs of this tenant.")]
OutcomeFilter = Annotated[Outcome | None, typer.Option("--outcome", help="Only runs that ended so, or are parked.")]

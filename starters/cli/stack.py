"""`engross up` and `engross down`."""

from engross.endpoints import Endpoints
from engross.settings import STAND_IN, Settings
from starters.cli.ending import ExitCode
from starters.cli.output import clean, data, note
from workers.local import stack

STAND_IN_WARNING = "stand-in: answers come from rules, not from a model; set OPENAI_API_KEY or ANTHROPIC_API_KEY"


def up(settings: Settings, *, detach: bool, worker: bool, local_model: bool = False) -> ExitCode:
    """Starts what is missing; in the foreground it then waits, and stops everything at the end."""
    try:
        status = stack.up(settings, worker=worker, local_model=local_model, report=note)
    except KeyboardInterrupt:
        stack.down(settings, note)
        raise
    show_addresses(settings.with_local_model(status.endpoints.local_model), status.endpoints)
    note("next: `engross jobs`, `engross submit invoice FILE --wait`, `engross list`, `engross doctor`")
    if not status.started:
        note("it was running already; `engross down` stops it")
        return ExitCode.OK
    if detach:
        note("it goes on in the background; `engross down` stops it")
        return ExitCode.OK
    note("Ctrl-C stops it")
    try:
        stack.wait(settings, note)
    finally:
        stack.down(settings, note)
    return ExitCode.OK


def down(settings: Settings) -> ExitCode:
    """Stops what `up` started."""
    stopped = stack.down(settings, note)
    note(f"stopped {', '.join(stopped)}" if stopped else "nothing of ours was running")
    return ExitCode.OK


def show_addresses(settings: Settings, endpoints: Endpoints) -> None:
    """Prints where everything is and who answers."""
    lines = {
        "Web UI": endpoints.web_ui or "that of your Temporal server",
        "Temporal": endpoints.temporal,
        "Redis": without_password(endpoints.redis),
        "Model": who_answers(settings),
    }
    for name, value in lines.items():
        data(clean(f"{name:<9} {value}"))


def who_answers(settings: Settings) -> str:
    """The model that is asked first, and plainly so when it is none."""
    model = settings.route[0]
    return STAND_IN_WARNING if model.model == STAND_IN and settings.needs_stand_in else str(model)


def without_password(url: str) -> str:
    """`url` as it may be shown."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"

"""`engross notices secret`: what receivers of the webhook check its signature with."""

from activities.notices.webhook import webhook_secret
from engross.settings import Settings
from starters.cli.ending import ExitCode
from starters.cli.output import data, note
from workers.redis_access import installation_secret


def secret(settings: Settings) -> ExitCode:
    """Prints the secret that belongs to this installation's; the receiver needs no other."""
    if settings.secret is None:
        note("made from this machine's own secret; where workers run elsewhere, set ENGROSS_SECRET as they do")
    data(webhook_secret(installation_secret(settings)))
    return ExitCode.OK

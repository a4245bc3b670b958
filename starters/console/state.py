"""What belongs to the running console, for its routes."""

from dataclasses import dataclass

from fastapi import Request

from starters.console.addresses import Site
from starters.console.events import Changes
from starters.console.limits import Buckets
from starters.console.oidc import Issuer
from starters.console.rendering import Pages
from starters.console.services import Services
from starters.console.tickets import Tickets


@dataclass(frozen=True)
class Console:
    """`users` counts requests of people, `clients` those of addresses, and `sign_ins` only their sign-ins."""

    services: Services
    site: Site
    pages: Pages
    changes: Changes
    users: Buckets
    clients: Buckets
    sign_ins: Buckets
    tickets: Tickets
    issuer: Issuer | None


def console_of(request: Request) -> Console:
    """The console that this request is made to."""
    console: Console = request.app.state.console
    return console


def services_of(request: Request) -> Services:
    """What its routes work with."""
    return console_of(request).services

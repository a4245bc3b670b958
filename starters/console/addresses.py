"""Where the console is reached, and which requests come from its own pages."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from engross.errors import ConfigurationError
from engross.settings import Settings

_HOST: Final = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?")
_LONGEST_PATH: Final = 2000


@dataclass(frozen=True)
class Site:
    """`origin` is scheme, host and port as browsers write them; `host` the name alone, in lower case."""

    origin: str
    host: str
    is_https: bool

    def is_ours(self, host: str) -> bool:
        """Whether a request with this `Host` is meant for us. Any other is DNS rebinding, or a mistake."""
        name = _name(host)
        return name is not None and (name == self.host or is_loopback(name))

    def is_from_here(self, headers: Headers) -> bool:
        """Whether a page of ours made this request: by `Sec-Fetch-Site`, which no page can forge, and by `Origin`.

        Pages send `Origin: null` with a form, as their policy is to send no referrer, so it counts only with the other.
        """
        fetched, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if fetched is not None and fetched != "same-origin":
            return False
        if origin is None or origin == "null":
            return fetched is not None
        return origin in self._origins(headers.get("host", ""))

    def _origins(self, host: str) -> set[str]:
        name = _name(host)
        own = {self.origin} if name == self.host else set()
        return own | {f"http://{host.lower()}"} if name is not None and is_loopback(name) else own


def site_of(settings: Settings) -> Site:
    """Where `settings` put the console.

    Raises `ConfigurationError` for an address that browsers would reach without encryption, or that is none.
    """
    address = settings.console_url or f"http://{_in_url(settings.console_host)}:{settings.console_port}"
    try:
        parts = urlsplit(address)
        name, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        name, port = "", None
    if not name or parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise ConfigurationError(
            "ENGROSS_CONSOLE_URL must be a scheme, a host and perhaps a port, without a path:"
            " https://approvals.example.com, say"
        )
    is_https = parts.scheme == "https"
    if not is_https and not is_loopback(name):
        raise ConfigurationError(
            f"the console at {address} would be reached without encryption: put TLS in front of it (a reverse proxy)"
            " and set ENGROSS_CONSOLE_URL to its https:// address, or listen on 127.0.0.1 only"
        )
    is_default = port is None or port == (443 if is_https else 80)
    origin = f"{parts.scheme}://{_in_url(name)}" + ("" if is_default else f":{port}")
    return Site(origin=origin, host=name, is_https=is_https)


def local_path(target: str, otherwise: str) -> str:
    """`target` if it is a path on this server, else `otherwise`: what comes in an address leads to nobody else's."""
    # Browsers read "\" as "/" and leave tabs and line breaks out, so that "/\host" and "/<tab>/host" leave the site.
    is_path = target.startswith("/") and not target.startswith("//") and "\\" not in target
    return target if is_path and target.isprintable() and len(target) <= _LONGEST_PATH else otherwise


def _name(host: str) -> str | None:
    found = _HOST.fullmatch(host.lower())
    return found["name"].strip("[]") if found else None


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def is_loopback(name: str) -> bool:
    """Whether that host is this machine by its name, so that nothing leaves it."""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False

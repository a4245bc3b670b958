"""`python -m workers.local.standin --port N`: serve until SIGTERM or SIGINT."""

import argparse
import logging
import socket

from aiohttp import web

from .server import make_app

_GRACE = 1.0  # seconds that open calls get at shutdown: a scripted time-out must not hold it up


def main() -> None:
    parser = argparse.ArgumentParser("standin", description="A model provider that answers by rules.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 takes any free one")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    try:
        listening = socket.create_server((options.host, options.port))
    except OSError as error:
        parser.exit(1, f"the stand-in provider can't listen on {options.host}:{options.port}: {error.strerror}\n")
    logging.getLogger("standin").info("stand-in provider on http://%s:%s", *listening.getsockname()[:2])
    # No access log: even a path in a log is more than a stand-in has to say. A caller that hangs up frees its handler.
    web.run_app(
        make_app(), sock=listening, print=None, access_log=None, handler_cancellation=True, shutdown_timeout=_GRACE
    )


if __name__ == "__main__":
    main()

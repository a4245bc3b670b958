"""`python -m workers.local.standin --port N`: serve until SIGTERM or SIGINT."""

import argparse
import asyncio
import logging
import signal

from aiohttp import web

from .server import make_app

_log = logging.getLogger("standin")
_GRACE = 1.0  # seconds that open calls get at shutdown: a scripted time-out must not hold it up


async def serve(host: str, port: int) -> None:
    """Serve on `host`:`port` (0 takes any free one) until told to stop; OSError when the port is taken."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # No access log: even a path in a log is more than a stand-in has to say. A caller that hangs up frees its handler.
    runner = web.AppRunner(make_app(), access_log=None, handler_cancellation=True, shutdown_timeout=_GRACE)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        _log.info("stand-in provider on http://%s:%s", host, runner.addresses[0][1])
        await stop.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser("standin", description="A model provider that answers by rules.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    options = parser.parse_args()
    logging.basicConfig(level=options.log_level.upper(), format="%(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(serve(options.host, options.port))
    except OSError as error:
        parser.exit(1, f"the stand-in provider can't listen on {options.host}:{options.port}: {error.strerror}\n")


if __name__ == "__main__":
    main()

"""Stands for the worker or the stand-in in tests: answers 200 to any GET, and has a child that never ends by itself.

`python fake_server.py [--port N] [--stubborn]`; without a port it takes the worker's. Stubborn ignores SIGTERM.
"""

import argparse
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the log to what the tests read."""


def drain(*_: object) -> None:
    print("drained", flush=True)  # noqa: T201
    os._exit(0)  # leaving the child behind, as a crash would


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=os.environ.get("ENGROSS_HEALTH_PORT"))
    parser.add_argument("--stubborn", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.SIG_IGN if arguments.stubborn else drain)
    server = HTTPServer(("127.0.0.1", arguments.port), Ready)
    subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    server.serve_forever()

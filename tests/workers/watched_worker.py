"""A worker that prints the modules it has loaded, as one JSON line, for each line that it reads."""

import json
import sys
import threading

from engross.settings import load_settings
from workers.main import run_worker


def tell() -> None:
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(sorted(sys.modules)) + "\n")
        sys.stdout.flush()


threading.Thread(target=tell, daemon=True).start()
run_worker(load_settings())

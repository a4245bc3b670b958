#!/usr/bin/env -S python -I
"""`healthy PORT PATH`: exit code 0 when this container's HTTP server answers 200 there. The image has no curl."""

import http.client
import sys

_SECONDS = 4.0


def main() -> int:
    port, path = sys.argv[1:]
    # By hand: a proxy in the environment has nothing to do with this.
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=_SECONDS)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"{type(error).__name__}\n")
        return 1
    finally:
        connection.close()
    sys.stderr.write(f"{status}\n")
    return 0 if status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main())

"""A child that answers what no parser would: which lie is told is what the document says."""

import sys

from activities.documents.frames import Header
from activities.documents.serving import claim_stdout, serve

LIES = {
    b"": b"",
    b"text": b"<script>",
    b"outside": b'{"width": 1, "height": 1, "rectangles": [[{"left": 0, "top": 0, "width": 9, "height": 1}]]}',
    b"endless": b'{"width": Infinity, "height": 1, "rectangles": [[]]}',
    b"count": b'{"width": 1, "height": 1, "rectangles": []}',
}


def lie(header: Header, data: bytes) -> tuple[Header, bytes]:
    return {}, LIES[data]


if __name__ == "__main__":
    serve(sys.stdin.buffer, claim_stdout(), {"picture": lie, "places": lie})

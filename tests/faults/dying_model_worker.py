"""A worker that dies once its first reply is kept, before anybody hears of it. A script: called like `engross`."""

import os

import pytest

from activities.storage.blobs import BlobStore
from engross.contracts import BlobRef
from starters.cli import main
from workers import stores_access


class DyingBlobs(BlobStore):
    """Takes the process with it at the first JSON: in a worker of models an answer, whose reply is kept by then."""

    async def put(self, tenant: str, data: bytes, media_type: str = "application/octet-stream") -> BlobRef:
        if media_type == "application/json":
            os._exit(1)
        return await super().put(tenant, data, media_type)


if __name__ == "__main__":
    pytest.MonkeyPatch().setattr(stores_access, "BlobStore", DyingBlobs)
    main()

"""Where bytes and results are kept: blobs by content hash, finished runs as rows."""

from activities.storage.blobs import BlobStore
from activities.storage.results import ResultStore
from activities.storage.rows import StoredRun

__all__ = ["BlobStore", "ResultStore", "StoredRun"]

"""Where bytes and results are kept: blobs by content hash, finished runs and what they spent as rows."""

from activities.storage.batches import StoredBatch, StoredBatchRow
from activities.storage.blobs import BlobStore
from activities.storage.costs import CostLine, CostsBy
from activities.storage.results import ResultStore
from activities.storage.rows import StoredRun

__all__ = ["BlobStore", "CostLine", "CostsBy", "ResultStore", "StoredBatch", "StoredBatchRow", "StoredRun"]

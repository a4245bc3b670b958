"""A document in chunks, and the child runs that read many of them."""

from engross.contracts.ledger import LedgerEntry
from engross.contracts.patterns import MapReduceOptions
from engross.contracts.plans import StepPlan
from engross.contracts.references import BlobRef, Contract, TextRef
from engross.contracts.results import ErrorInfo, Spent
from engross.contracts.runs import RunRequest

# As many as one workflow reads itself, and as one message names: about 10 KB.
SEGMENT_CHUNKS = 64


class Chunk(Contract):
    """One chunk: characters `start` to `end` of the document, in a blob of its own. `number` counts from 1."""

    number: int
    sha256: str
    size: int
    start: int
    end: int
    tokens: int
    first_page: int = 1
    last_page: int = 1

    def text(self, tenant: str) -> TextRef:
        """The reference to its text."""
        pages = self.last_page - self.first_page + 1
        return TextRef(tenant=tenant, sha256=self.sha256, size=self.size, pages=pages, characters=self.end - self.start)


class SplitRequest(Contract):
    """Input of `split_text`."""

    text: TextRef
    chunk_tokens: int
    overlap_tokens: int


class Split(Contract):
    """Result of `split_text`: how many chunks there are, the blob that lists them, and the first of them."""

    count: int
    listing: BlobRef
    chunks: tuple[Chunk, ...]


class ChunksRequest(Contract):
    """Input of `read_chunks`: the chunks from number `first` to `last`."""

    listing: BlobRef
    first: int
    last: int


class Chunks(Contract):
    """Result of `read_chunks`."""

    chunks: tuple[Chunk, ...]


class SegmentRequest(Contract):
    """Input of `map_segment`, a child run over the chunks from number `first` to `last` of one document."""

    run: RunRequest
    map: StepPlan
    reduce: StepPlan
    options: MapReduceOptions
    listing: BlobRef
    first: int
    last: int


class SegmentResult(Contract):
    """What a segment came to. `answer` is None when no chunk gave one, or when an `error` ended it.

    `missing` are the entries without an answer.
    """

    answer: BlobRef | None
    answer_tokens: int
    sources: tuple[int, ...]
    ledger: BlobRef
    missing: tuple[LedgerEntry, ...]
    spent: tuple[Spent, ...]
    repairs: int = 0
    error: ErrorInfo | None = None


class LedgerRequest(Contract):
    """Input of `keep_ledger`: entries that are too many to travel in the result of a child run."""

    tenant: str
    entries: tuple[LedgerEntry, ...]

"""What the pages and the REST API work with, opened once for the process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import temporalio.client

from activities.access import AccessStore
from activities.approvals.audit import AuditLog
from activities.approvals.rows import ApprovalRows
from activities.documents.pool import ParserPool
from activities.storage import BlobStore, ResultStore
from activities.storage.database import Database
from engross.catalog import Catalog, load_catalog
from engross.endpoints import Endpoints, resolve
from engross.settings import Settings
from starters.approvals import Approvals
from starters.batches import BatchClient
from starters.connection import connect
from starters.console.api.once import Requests
from starters.console.documents.documents import Documents
from workers.redis_access import installation_secret
from workers.stores_access import open_blobs


@dataclass(frozen=True)
class Services:
    """`client` is for runs and batches, `approvals` for decisions; both see to rights only as far as they say."""

    settings: Settings
    endpoints: Endpoints
    access: AccessStore
    rows: ApprovalRows
    audit: AuditLog
    approvals: Approvals
    client: BatchClient
    catalog: Catalog
    blobs: BlobStore
    results: ResultStore
    requests: Requests
    documents: Documents
    temporal: temporalio.client.Client
    secret: bytes = field(repr=False)


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Connects to what `settings` name, and creates the tables that are missing.

    Raises `ConfigurationError` or `ServiceUnavailable`, each with the fix.
    """
    endpoints = resolve(settings)
    database = Database.open(settings.results_url)
    parsers = ParserPool(size=settings.parsers, seconds=settings.parser_seconds, memory_mb=settings.parser_memory_mb)
    parsers.begin()  # they are warm before anybody looks at a document
    try:
        yield await _opened(settings, endpoints, database, parsers)
    finally:
        await parsers.close()
        await database.close()


async def _opened(settings: Settings, endpoints: Endpoints, database: Database, parsers: ParserPool) -> Services:
    connection, catalog = await connect(settings, endpoints), load_catalog(settings.jobs_path)
    blobs, results = open_blobs(settings), ResultStore(database)
    secret = installation_secret(settings)
    access, rows, audit = AccessStore(database), ApprovalRows(database), AuditLog(database, secret)
    requests = Requests(database)
    for store in (results, access, rows, audit, requests):
        await store.start()
    approvals = Approvals(
        temporal=connection,
        address=endpoints.temporal,
        rows=rows,
        blobs=blobs,
        catalog=catalog,
        secret=secret,
        history=audit,
    )
    client = BatchClient(settings=settings, endpoints=endpoints, connection=connection, blobs=blobs, results=results)
    client.approvals = rows
    return Services(
        settings=settings,
        endpoints=endpoints,
        access=access,
        rows=rows,
        audit=audit,
        approvals=approvals,
        client=client,
        catalog=catalog,
        blobs=blobs,
        results=results,
        requests=requests,
        documents=Documents(blobs=blobs, parsers=parsers),
        temporal=connection,
        secret=secret,
    )

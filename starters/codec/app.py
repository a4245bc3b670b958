"""The codec server as an ASGI application: `/encode` and `/decode` as Temporal's Web UI and command ask them."""

from importlib import metadata
from typing import Final

import structlog
from fastapi import APIRouter, FastAPI, HTTPException, Request
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from temporalio.api.common.v1 import Payloads

from activities.encryption.tenants import named_tenant
from engross.errors import ServiceUnavailable
from starters.codec import gate
from starters.codec.identity import ID_TOKEN, Caller
from starters.codec.reading import read
from starters.codec.state import CodecServer, server_of
from starters.console.gate import AccessLog
from starters.console.headers import SafeHeaders
from starters.console.identity import must_see

_HEADERS: Final = ("Authorization", ID_TOKEN, "Content-Type", "X-Namespace")
_PREFLIGHT_SECONDS: Final = 600
_LONGEST_NAMESPACE: Final = 255

_log = structlog.get_logger(__name__)
_router = APIRouter(include_in_schema=False)


def create_app(server: CodecServer) -> FastAPI:
    """The application, over what stays open as long as it runs."""
    app = FastAPI(
        title="Engross codec server",
        version=metadata.version("engross"),
        openapi_url=None,
    )
    app.state.codec_server = server
    app.include_router(_router)
    gate.install(app)
    # The last is the outermost: refusals have the headers as well, so that the Web UI can tell what they are.
    app.add_middleware(gate.Gate)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[server.origin] if server.origin else [],
        allow_methods=["POST"],
        allow_headers=_HEADERS,
        allow_credentials=True,
        max_age=_PREFLIGHT_SECONDS,
    )
    app.add_middleware(SafeHeaders, is_https=False)
    app.add_middleware(AccessLog)
    return app


@_router.get(gate.HEALTH)
async def health(request: Request) -> Response:
    """200 when the database with the keys answers, else 503."""
    try:
        await server_of(request).is_ready()
    except ServiceUnavailable as error:
        _log.warning("not ready", error=error.type, message=str(error))
        return JSONResponse({"ready": False}, 503)
    return JSONResponse({"ready": True})


@_router.post("/decode")
@_router.post("/{namespace}/decode")
async def decode(request: Request, identity: Caller, namespace: str = "") -> Response:
    """The payloads that were sent, opened as far as their reader may see them."""
    sent = await _payloads(request)
    result = await read(server_of(request).codec, identity.person, sent.payloads)
    _log.info(
        "decoded",
        person=identity.person.name,
        how=identity.how,
        namespace=_namespace(request, namespace),
        opened=dict(result.opened),
        withheld=dict(result.withheld),
    )
    return _answer(Payloads(payloads=result.payloads))


@_router.post("/encode")
@_router.post("/{namespace}/encode")
async def encode(request: Request, identity: Caller, namespace: str = "") -> Response:
    """The payloads that were sent, sealed for their tenant. Raises `NotAuthorised` for one they may not see."""
    sent = await _payloads(request)
    tenant = named_tenant(sent.payloads)  # as the codec takes it
    if tenant is not None:
        must_see(identity.person, tenant)
    sealed = await server_of(request).codec.encode(sent.payloads)
    return _answer(Payloads(payloads=sealed))


async def _payloads(request: Request) -> Payloads:
    try:
        return Parse(await request.body(), Payloads(), ignore_unknown_fields=True)
    except (ParseError, UnicodeDecodeError, RecursionError):
        raise HTTPException(400, "the body is no JSON of Temporal's Payloads") from None


def _answer(payloads: Payloads) -> Response:
    return Response(MessageToJson(payloads), media_type="application/json")


def _namespace(request: Request, named: str) -> str:
    return (named or request.headers.get("X-Namespace", ""))[:_LONGEST_NAMESPACE]

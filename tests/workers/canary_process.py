"""A process that logs, in every way there is, what must never be logged; the test reads its stderr."""

import asyncio
import logging
import sys
import threading
import warnings

import structlog
from pydantic import BaseModel, ValidationError

from workers.logs import configure_logs

CANARY = sys.argv[1]
SECRET = sys.argv[2]


class Answer(BaseModel):
    total: float


def told_by_us() -> None:
    log = structlog.get_logger("activities.models.paid")
    log.info("keys that hold text", document=CANARY, prompt=CANARY, answer={"total": CANARY}, messages=[CANARY])
    log.info("names that hold text", document_text=CANARY, body=CANARY.encode(), model_output=[{"content": CANARY}])
    log.info("long", anything=f"{CANARY} " * 100)
    log.info("objects", error=ValueError(CANARY), given=Answer.model_construct(total=CANARY))
    log.info("deep", a={"b": {"c": {"d": {"e": {"f": CANARY}}}}}, many=[CANARY] * 1000)
    log.warning(
        "secrets", key=SECRET, inside=f"the key {SECRET} is refused", api_key="abc", redis=f"redis://u:{SECRET}@h"
    )
    log.warning("shapes", header="Bearer abcdefgh12345678", model="sk-proj-abcdefghijklmnop1234", person=PERSON)
    log.info("not json", value_a=float("nan"), line="one\ntwo\u2028three", **{"a key": object()})
    try:
        Answer.model_validate({"total": CANARY})
    except ValidationError:
        log.exception("with the exception")
        logging.getLogger("activities.other").exception("with the exception")


def told_by_libraries() -> None:
    for name in ("openai", "anthropic", "httpx", "temporalio.worker", "asyncio", "redis", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG)
        logger.debug("Request options: %s", {"json_data": CANARY})
        logger.warning(f"could not parse {CANARY}")  # as libraries do
        logger.error(CANARY)
        logger.error("no %d", 1, extra={"document": CANARY})
    logging.getLogger("broken").error("%s and %s", "one")  # noqa: PLE1206  # as libraries do
    logging.getLogger("workflows").info("run begun", extra={"engross": {"tenant": "acme", "text": CANARY}})
    core = type("Log", (), {"fields": {"run_id": "r", "failure": CANARY, "attempt": 3}})()
    logging.getLogger("temporal").warning("Failing 'CANARY' task", extra={"temporal_log": core})


async def told_by_asyncio() -> None:
    async def fails() -> None:
        raise ValueError(CANARY)

    task = asyncio.create_task(fails())
    await asyncio.wait([task])
    del task
    asyncio.get_running_loop().call_exception_handler({"message": "odd", "exception": ValueError(CANARY)})


def nobody_catches() -> None:
    class Odd:
        def __del__(self) -> None:
            raise ValueError(CANARY)

    def fails() -> None:
        raise ValueError(CANARY)

    Odd()
    thread = threading.Thread(target=fails)
    thread.start()
    thread.join()
    warnings.warn(CANARY, stacklevel=1)
    raise ValueError(CANARY)


PERSON = "eg_0123abcd_" + "x" * 43
configure_logs("info", {SECRET})
told_by_us()
told_by_libraries()
asyncio.run(told_by_asyncio())
nobody_catches()

"""The way to Temporal: where the server is, how messages are written, and what is traced."""

from typing import Any

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter

from engross.endpoints import temporal_options
from engross.settings import Settings
from workers.tracing import client_plugins


def connect_options(settings: Settings, address: str, *, in_worker: bool = False) -> dict[str, Any]:
    """Arguments for `temporalio.client.Client.connect`. Raises `ConfigurationError`; see `temporal_options`."""
    return temporal_options(settings, address) | {
        "data_converter": message_converter(settings, in_worker=in_worker),
        "plugins": client_plugins(settings),
    }


def message_converter(settings: Settings, *, in_worker: bool = False) -> DataConverter:
    """How messages become payloads; encrypted where there are keys. `in_worker` is for the client of a worker."""
    if settings.encryption_keys is None:
        return pydantic_data_converter
    from activities.encryption.codec import data_converter
    from activities.encryption.keys import TenantKeys

    return data_converter(TenantKeys.of(settings), in_worker=in_worker)

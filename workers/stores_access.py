"""The way to what is kept encrypted, where there are keys."""

from typing import TYPE_CHECKING

from activities.storage.blobs import BlobStore
from engross.settings import Settings

if TYPE_CHECKING:
    from activities.encryption.sealing import Sealer


def sealer_of(settings: Settings) -> "Sealer | None":
    """What encrypts for the tenants of this installation; None where nothing is encrypted."""
    if settings.encryption_keys is None:
        return None
    from activities.encryption.keys import TenantKeys
    from activities.encryption.sealing import Sealer

    keys = TenantKeys.of(settings)
    return None if keys is None else Sealer(keys)


def open_blobs(settings: Settings) -> BlobStore:
    """The blob store; raises as `BlobStore.open`."""
    return BlobStore.open(settings.blobs_url, sealer=sealer_of(settings))

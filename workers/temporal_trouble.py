"""Why Temporal can't be reached: in most cases nobody is there, in others the encrypted connection is what fails."""

from typing import Final

from engross.errors import ConfigurationError, EngrossError, ServiceUnavailable

# What the SDK says, and what is to be done about it.
_CERTIFICATES: Final = {
    "UnknownIssuer": "its certificate is signed by nobody known here; set TEMPORAL_TLS_SERVER_CA_CERT_PATH to the"
    " certificate of who has signed it",
    "NotValidForName": "its certificate is for another name; correct TEMPORAL_ADDRESS, or set TEMPORAL_TLS_SERVER_NAME"
    " to the name in it",
    "InvalidCertificate": "its certificate is not valid; see its dates and its use",
    "InvalidContentType": "it speaks no TLS; unset TEMPORAL_TLS and TEMPORAL_API_KEY, or correct TEMPORAL_ADDRESS",
}
# It answers and then hangs up: with the reason in its own log only.
_HANGS_UP: Final = "error after connection"


def unreachable(error: BaseException | None, address: str) -> EngrossError:
    """What `error`, raised by `temporalio.client.Client.connect`, means for the server at `address`."""
    said = str(error)
    for sign, advice in _CERTIFICATES.items():
        if sign in said:
            return ConfigurationError(f"Temporal at {address} is not trusted: {advice}")
    if _HANGS_UP in said:
        return ServiceUnavailable(
            f"Temporal at {address} hangs up: it wants TLS, or another client certificate; check TEMPORAL_TLS,"
            " TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH, and the server's log"
        )
    return ServiceUnavailable(
        f"Temporal at {address} does not answer: start it (`engross up` for the embedded one) or correct"
        " TEMPORAL_ADDRESS"
    )

"""Keys and addresses of the providers that this installation is set up for."""

from engross.endpoints import Endpoints
from engross.errors import ConfigurationError
from engross.names import LOCAL
from engross.settings import Settings


def provider_access(settings: Settings, endpoints: Endpoints, provider: str) -> tuple[str, str | None]:
    """Key and address of a provider; those of the stand-in when no provider is set up at all."""
    if provider == LOCAL and not settings.uses(LOCAL):
        raise ConfigurationError("no local model: run `engross up --local-model`, or set ENGROSS_LOCAL_BASE_URL")
    if settings.needs_stand_in:
        if endpoints.stand_in is None:
            raise ConfigurationError(
                "no provider: set OPENAI_API_KEY or ANTHROPIC_API_KEY, or run `engross up` for the stand-in"
            )
        return "stand-in", endpoints.stand_in + ("/v1" if provider == "openai" else "")
    key, address = settings.key(provider), settings.address(provider)
    if key is None and address is None:
        raise ConfigurationError(f"no key for {provider}: set {provider.upper()}_API_KEY")
    # Servers at an address of yours often want no key; the SDKs refuse to start without one.
    return (key.get_secret_value() if key else "none"), address

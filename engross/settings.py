"""Settings: environment first, then `.env` in the working folder. Checked as a whole, once, at start."""

import os
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from engross.contracts import Dollars, ModelRef
from engross.errors import ConfigurationError
from engross.misspelt import refuse_unknown_names
from engross.names import LOCAL, PROVIDERS
from engross.operations_settings import OperationsSettings
from engross.people_settings import PeopleSettings
from engross.routes import TIERS, Tier, parse_limits, parse_prices, parse_route
from engross.temporal_profile import asks_for_profile, connect_config, temporal_variables

PREFIX: Final = "ENGROSS_"
STAND_IN: Final = "stand-in"
LOCAL_MODEL: Final = "gemma3-270m"
DEFAULT_MODELS: Final = {"openai": "gpt-4.1-mini", "anthropic": "claude-haiku-4-5", LOCAL: LOCAL_MODEL}

_Port = Annotated[int, Field(ge=1, le=65535)]


def _default_home() -> Path:
    # In the checkout wherever the command is run, so that every command finds the one stack.
    checkout = Path(__file__).resolve().parent.parent
    return (checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()) / ".engross"


class Settings(PeopleSettings, OperationsSettings):
    """Every setting. A field `x` is read from `ENGROSS_X`, except where a standard name is given."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", extra="ignore", env_ignore_empty=True)

    # Providers
    model: str | None = Field(
        None,
        description="`openai:<model>`, `anthropic:<model>` or `local:<model>`; several, separated by commas, are a"
        " route: first choice, then fallbacks",
    )
    tier_low: str | None = Field(None, description='Route of steps with tier="low"; default: ENGROSS_MODEL')
    tier_medium: str | None = Field(None, description='Route of steps with tier="medium"; default: ENGROSS_MODEL')
    tier_high: str | None = Field(None, description='Route of steps with tier="high"; default: ENGROSS_MODEL')
    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY", description="OpenAI key")
    openai_base_url: str | None = Field(
        None,
        validation_alias="OPENAI_BASE_URL",
        description="Any OpenAI-compatible server, such as http://127.0.0.1:8080/v1",
    )
    anthropic_api_key: SecretStr | None = Field(None, validation_alias="ANTHROPIC_API_KEY", description="Anthropic key")
    anthropic_base_url: str | None = Field(
        None, validation_alias="ANTHROPIC_BASE_URL", description="Another address for Anthropic's API"
    )
    local_base_url: str | None = Field(
        None,
        description="An OpenAI-compatible server for `local:<model>`, without a key; default: the one of"
        " `engross up --local-model`",
    )
    model_timeout_seconds: float = Field(300, gt=0, le=3600, description="Total time for one model call")

    # Services; unset means the embedded stack
    temporal_address: str | None = Field(
        None, validation_alias="TEMPORAL_ADDRESS", description="host:port of a Temporal server of yours"
    )
    temporal_namespace: str = Field("default", validation_alias="TEMPORAL_NAMESPACE", description="Temporal namespace")
    redis_url: str | None = Field(
        None, description="redis:// or rediss:// address of a Redis or Valkey server of yours"
    )
    redis_unchecked: bool = Field(
        False, description="Don't check that Redis persists and never evicts, where a managed server forbids the check"
    )
    secret: SecretStr | None = Field(
        None,
        min_length=16,
        description="Signs kept replies, decisions and the audit log; set the same on all machines of an installation."
        " Default: made once, in ENGROSS_HOME",
    )
    cache_days: float = Field(30, gt=0, le=3650, description="How long equal requests are answered from kept replies")
    blobs: str | None = Field(None, description="Blob store: file:///..., s3://bucket/prefix, gs://bucket/prefix")
    results: str | None = Field(None, description="Result store: sqlite+aiosqlite:///... or postgresql+asyncpg://...")

    # Folders
    home: Path = Field(
        default_factory=_default_home,
        description="Where the embedded stack keeps its state; default: .engross in the checkout",
    )
    jobs_path: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="More folders with jobs, separated as in PATH"
    )
    document_roots: Annotated[tuple[Path, ...] | None, NoDecode] = Field(
        None,
        description="Folders below which file:/// documents are read, separated as in PATH; default: any on the"
        " embedded stack, none with a Temporal server of yours",
    )

    # Limits
    max_document_mb: int = Field(50, ge=1, le=2048, description="Largest document, in MB")
    limits: str = Field(
        "",
        description="Per minute, shared by all workers: openai=500r/200000t,openai:gpt-4.1=100r (r requests, t tokens)",
    )
    tenant_tokens_per_minute: int | None = Field(None, ge=1, description="Tokens a minute that one tenant may use")
    budget_run_usd: Dollars | None = Field(
        None, description="US dollars that one run may spend, where its job says nothing else"
    )
    budget_tenant_usd: Dollars | None = Field(None, description="US dollars that each tenant may spend a month (UTC)")
    budget_day_usd: Dollars | None = Field(
        None, description="US dollars that all tenants together may spend a day (UTC)"
    )
    call_ceiling_usd: Dollars | None = Field(None, description="US dollars that one model call may cost at most")
    prices: str = Field(
        "", description="Prices of your own in USD per million input/output tokens: openai:my-model=0.10/0.40,local=0/0"
    )
    parsers: int = Field(2, ge=1, le=64, description="Parser processes a worker keeps warm")
    parser_seconds: float = Field(
        60, gt=0, le=3600, description="Time to read one document before its parser is killed"
    )
    parser_memory_mb: int = Field(1024, ge=128, description="Memory of one parser process, in MB")

    # Ports of the embedded stack and of a worker's health page
    temporal_port: _Port = Field(7233, description="Temporal of the embedded stack")
    ui_port: _Port = Field(8233, description="Temporal's Web UI")
    redis_port: _Port = Field(6390, description="Valkey of the embedded stack")
    standin_port: _Port = Field(6391, description="The stand-in provider")
    local_model_port: _Port = Field(6393, description="The local model, with `engross up --local-model`")
    health_port: int = Field(
        6392, ge=0, le=65535, description="A worker's /live, /ready and /metrics; 0 takes any port"
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe log line shown")

    # No setting: the base URL of the local model that the embedded stack in `home` runs; see `load_settings`.
    _embedded_local: str | None = PrivateAttr(None)
    # The TEMPORAL_* variables of the environment and of `.env`: Temporal's library reads the former only.
    _temporal_variables: dict[str, str] = PrivateAttr(default_factory=dict)

    @field_validator("jobs_path", "document_roots", mode="before")
    @classmethod
    def _split_folders(cls, value: Any) -> Any:
        return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value

    @field_validator("limits")
    @classmethod
    def _limits_have_numbers(cls, value: str) -> str:
        parse_limits(value)
        return value

    @field_validator("prices")
    @classmethod
    def _prices_have_numbers(cls, value: str) -> str:
        parse_prices(value)
        return value

    @field_validator("model", "tier_low", "tier_medium", "tier_high")
    @classmethod
    def _routes_name_providers(cls, value: str | None) -> str | None:
        if value is not None:
            parse_route(value)
        return value

    @model_validator(mode="after")
    def _base_url_needs_a_model(self) -> Self:
        if self.model is None and (self.openai_base_url or self.anthropic_base_url or self.local_base_url):
            raise ValueError("a base URL is set, so ENGROSS_MODEL must say which model it serves: openai:llama3.1, say")
        return self

    def with_local_model(self, address: str | None) -> Self:
        """These settings where the embedded stack runs a local model at `address`; None where it runs none."""
        copy = self.model_copy()
        copy._embedded_local = address
        return copy

    def with_temporal(self, variables: dict[str, str]) -> Self:
        """These settings with Temporal's own variables, and the address and namespace of the profile that they name."""
        copy = self.model_copy()
        copy._temporal_variables = variables
        if asks_for_profile(variables):
            profile = connect_config(variables)
            copy.temporal_address = profile.get("target_host", copy.temporal_address)
            copy.temporal_namespace = profile.get("namespace", copy.temporal_namespace)
        return copy

    @property
    def temporal_variables(self) -> dict[str, str]:
        """The TEMPORAL_* variables that are set."""
        return self._temporal_variables

    @property
    def embedded_local(self) -> str | None:
        """The base URL of the local model that the embedded stack runs, if it runs one."""
        return self._embedded_local

    def key(self, provider: str) -> SecretStr | None:
        """The key for `provider`; a local one has none."""
        key: SecretStr | None = getattr(self, f"{provider}_api_key", None)
        return key

    def address(self, provider: str) -> str | None:
        """The base URL for `provider`; None where it is the public one, or where there is none."""
        own: str | None = getattr(self, f"{provider}_base_url")
        return own or (self._embedded_local if provider == LOCAL else None)

    def uses(self, provider: str) -> bool:
        """Whether a key or an address for `provider` is set, or the embedded stack runs it."""
        return bool(self.key(provider) or self.address(provider))

    @property
    def needs_stand_in(self) -> bool:
        """Whether no provider is set up, so that the embedded stack starts the stand-in."""
        return not any(self.uses(provider) for provider in PROVIDERS)

    @property
    def route(self) -> tuple[ModelRef, ...]:
        """The models to ask where no tier says otherwise, first choice first."""
        if self.model is not None:
            return parse_route(self.model)
        if self.needs_stand_in:
            return (ModelRef(provider="openai", model=STAND_IN),)
        return tuple(
            ModelRef(provider=provider, model=DEFAULT_MODELS[provider]) for provider in PROVIDERS if self.uses(provider)
        )[:1]

    @property
    def routes(self) -> dict[Tier, tuple[ModelRef, ...]]:
        """The route of each tier."""
        own = {"low": self.tier_low, "medium": self.tier_medium, "high": self.tier_high}
        return {tier: parse_route(text) if (text := own[tier]) else self.route for tier in TIERS}

    @property
    def blobs_url(self) -> str:
        return self.blobs or (self.home.resolve() / "blobs").as_uri()

    @property
    def results_url(self) -> str:
        return self.results or f"sqlite+aiosqlite:///{self.home.resolve() / 'results.db'}"


def variable(field: str) -> str:
    """The environment variable that sets `field`."""
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else PREFIX + field.upper()


def load_settings(env_file: Path | None = Path(".env")) -> Settings:
    """The settings in force, and whether a local model runs. `ConfigurationError` names each bad variable and its fix.

    A local model changes the default route, so everybody who reads the settings has to know of it.
    """
    from engross.endpoints import running_stack  # it reads settings, so it imports this module

    refuse_unknown_names({variable(field) for field in Settings.model_fields}, PREFIX, env_file)
    try:
        settings = Settings(_env_file=env_file)  # type: ignore[call-arg]  # pydantic-settings' own keyword
    except ValidationError as error:
        problems = [
            f"{_name_of(problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}" for problem in error.errors()
        ]
        raise ConfigurationError("; ".join(problems)) from None
    settings = settings.with_temporal(temporal_variables(env_file))
    stack = running_stack(settings.home)
    return settings.with_local_model(stack.local_model if stack else None)


def _name_of(loc: tuple[int | str, ...]) -> str:
    if not loc:
        return "settings"
    name = str(loc[0])
    return variable(name) if name in Settings.model_fields else name

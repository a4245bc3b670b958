"""Settings of what people touch: the console, their access, and how they hear of approvals."""

from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings

_Port = Annotated[int, Field(ge=1, le=65535)]


class PeopleSettings(BaseSettings):
    """A part of `engross.settings.Settings`."""

    # Access
    user_key: SecretStr | None = Field(
        None, description="Your API key, which says who you are; `engross users key` makes one"
    )
    unsigned_decisions: bool = Field(
        False,
        description="Count decisions that reach Temporal without a signature, by the name that they give; off, only"
        " those of the console, the API and `engross approvals` count",
    )
    session_idle_minutes: float = Field(30, gt=0, le=1440, description="A console session ends when unused so long")
    session_hours: float = Field(12, gt=0, le=168, description="A console session ends after so long in any case")
    user_requests_per_minute: int = Field(240, ge=10, description="Requests a minute that one user may make")

    # Console
    console_host: str = Field("127.0.0.1", description="Address that the console listens on; loopback by default")
    console_port: _Port = Field(6394, description="The console and the REST API")
    console_url: str | None = Field(
        None, description="Public address of the console, such as https://approvals.example.com; default: its own"
    )
    oidc_issuer: str | None = Field(None, description="OpenID Connect issuer that people may sign in with")
    oidc_client_id: str | None = Field(None, description="This console's id at the issuer")
    oidc_client_secret: SecretStr | None = Field(None, description="This console's secret at the issuer")

    # Notices
    notify_webhook: str | None = Field(None, description="Address that gets a signed POST for every notice")
    notify_slack: str | None = Field(None, description="Slack-compatible incoming webhook")
    smtp_url: str | None = Field(
        None, description="Mail server for notices: smtp://user:password@host:587 (STARTTLS) or smtps://..."
    )
    mail_from: str = Field("engross@localhost", description="Sender of notices by e-mail")

    @field_validator("console_url", "oidc_issuer", "notify_webhook", "notify_slack")
    @classmethod
    def _addresses_are_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("https://", "http://")):
            raise ValueError("must begin with https:// (or http://)")
        return value.rstrip("/") if value else value

    @field_validator("smtp_url")
    @classmethod
    def _mail_server_is_smtp(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("smtp://", "smtps://")):
            raise ValueError("must begin with smtp:// or smtps://")
        return value

    @model_validator(mode="after")
    def _issuer_needs_a_client(self) -> Self:
        if self.oidc_issuer and not self.oidc_client_id:
            raise ValueError("ENGROSS_OIDC_ISSUER is set, so ENGROSS_OIDC_CLIENT_ID must be as well")
        return self

    @property
    def console_address(self) -> str:
        """Where people reach the console."""
        return self.console_url or f"http://{self.console_host}:{self.console_port}"

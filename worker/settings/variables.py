"""The variables of the env file: name, default, bounds, and in ``description`` what a value should be."""

from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from worker.domain.messages import Forwards
from worker.domain.routing import DEFAULT_TOKEN_HEADERS
from worker.domain.servers import Mechanism, Tls
from worker.settings import values
from worker.settings.problems import PREFIX
from worker.settings.sources import default_database_url


def _number(default: int, least: int, most: int, what: str) -> Any:
    return Field(default, ge=least, le=most, description=f"{what} from {least} to {most}")


def _seconds(default: int, least: int, most: int) -> Any:
    return _number(default, least, most, "a whole number of seconds")


class Variables(BaseSettings):
    """One field for each variable ``BCC_DROPBOX_…``. The environment wins over the env file and the credentials."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    address: values.CatchAll | None = Field(
        None,
        description="the catch-all address, like drop@drop.example.com: letters, digits, '.', '_' or '-', at most "
        f"{values.LONGEST_LOCAL_PART} of them before the @, so that '+' and a token fit in",
    )
    database_url: values.DatabaseUrl = Field(
        default_factory=lambda: SecretStr(default_database_url()),
        description="sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME",
    )

    imap_host: values.Host | None = Field(None, description="the IMAP server's host name or address, without a port")
    imap_port: int | None = Field(None, ge=1, le=65535, description="a port from 1 to 65535 (993 for ssl, else 143)")
    imap_tls: values.TlsChoice = Field(Tls.SSL, description="ssl, starttls, or none (for a loopback host only)")
    imap_user: str | None = Field(None, description="the login name of the catch-all mailbox")
    imap_auth: values.MechanismChoice = Field(Mechanism.PASSWORD, description="password, xoauth2 or oauthbearer")
    imap_password: SecretStr | None = Field(None, description="the password of the catch-all mailbox")
    imap_password_file: values.File | None = Field(None, description="a file that holds the password")
    imap_folder: values.QueueFolder = Field(
        "INBOX", description="the folder that new mail arrives in, none of Associated, Rejected, Quarantine"
    )
    imap_ca_file: values.File | None = Field(
        None, description="a PEM file with the authority of the server's certificate"
    )
    oauth_token_url: values.HttpsUrl | None = Field(None, description="the https:// address that gives access tokens")
    oauth_client_id: str | None = Field(None, description="the client id that the mail provider gave")
    oauth_client_secret: SecretStr | None = Field(None, description="the client secret that the mail provider gave")
    oauth_client_secret_file: values.File | None = Field(None, description="a file that holds the client secret")
    oauth_refresh_token: SecretStr | None = Field(None, description="the refresh token that the mail provider gave")
    oauth_refresh_token_file: values.File | None = Field(None, description="a file that holds the refresh token")
    oauth_scope: str | None = Field(None, description="the scopes to ask for, separated by spaces")

    poll_seconds: int = _seconds(60, 1, 150)
    idle: values.IdleChoice = Field(values.Idle.AUTO, description="auto or off")
    poll_deadline_seconds: int = _seconds(150, 2, 86400)
    socket_seconds: int = _seconds(30, 1, 600)
    statement_seconds: int = _seconds(30, 1, 600)
    batch_messages: int = _number(250, 1, 5000, "a whole number")
    batch_bytes: int = _number(8 * 1024 * 1024, 65536, 1024**3, "a whole number of bytes")

    token_headers: values.FieldNames = Field(
        DEFAULT_TOKEN_HEADERS,
        description="names of header fields, separated by commas, like X-Original-To,Delivered-To",
    )
    received_by: values.Host | None = Field(None, description="the host name behind 'by' in your own server's Received")
    sender_auth: values.SenderAuthChoice | None = Field(
        None, description="required (the default where AUTHSERV_ID is set) or off"
    )
    authserv_id: values.Word | None = Field(
        None, description="the first word that your own server writes into Authentication-Results"
    )
    max_attachment_bytes: int = _number(10 * 1024 * 1024, 1, 1024**3, "a whole number of bytes")
    max_recipients: int = _number(50, 1, 1000, "a whole number")
    max_new_records_per_day: int = _number(500, 0, 1_000_000, "a whole number")
    keep_rejected_days: values.Days = Field(90, description=values.DAYS)
    keep_events_days: values.Days = Field(30, description=values.DAYS)
    keep_emails_days: values.Days = Field(None, description=values.DAYS)
    forwards: values.ForwardsChoice = Field(Forwards.ALL, description="all, attached or off")

    smtp_url: values.SmtpUrl | None = Field(
        None,
        description="smtps:// or smtp+starttls://[USER:PASSWORD@]HOST[:PORT], or smtp:// without a password "
        "(with one for a loopback host only)",
    )
    smtp_ca_file: values.File | None = Field(
        None, description="a PEM file with the authority of the mail server's certificate"
    )
    notice_from: values.MailAddress | None = Field(None, description="the address that notices to owners come from")
    metrics_address: values.Listen | None = Field(None, description="HOST:PORT to listen on, like 127.0.0.1:9108")
    log_format: values.LogFormatChoice = Field(values.LogFormat.AUTO, description="auto, console or json")
    log_level: values.LogLevelChoice = Field(values.LogLevel.INFO, description="debug, info, warning or error")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the first one wins; constructor arguments come from the env file and the credentials."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

"""Whether events reach the accounts' CRMs (R26)."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

from worker.diagnostics.findings import Finding, passed, warned
from worker.domain.endpoints import EndpointState
from worker.domain.errors import DropboxError
from worker.settings import Settings
from worker.store.database import Database
from worker.store.webhooks import EndpointHealth, endpoints_health


def check_webhooks(settings: Settings) -> Iterator[Finding]:
    """Read how the webhooks are doing; without any there is nothing to see."""
    try:
        url = settings.database_url.get_secret_value()
        database = Database.open(url, statement_seconds=settings.statement_seconds, create=False)
        with closing(database), database.read() as connection:
            found = endpoints_health(connection)
    except DropboxError:
        return  # the database's own finding tells it, or its schema is made by the next start
    for webhook in found:
        yield _finding(webhook)


def _finding(webhook: EndpointHealth) -> Finding:
    what = f"webhook of {webhook.account}"
    seen = f"{webhook.host}: {_backlog(webhook)}"
    if webhook.state is EndpointState.PAUSED:
        return warned(what, f"paused, {webhook.paused_because}; {seen}", "`webhook test`, and then `webhook enable`")
    if webhook.state is EndpointState.DISABLED:
        return warned(what, f"disabled; {seen}", "`webhook enable`")
    if webhook.failing_since is not None:
        since = f"failing since {webhook.failing_since:%Y-%m-%d %H:%M} UTC"
        return warned(what, f"{since}, at last: {webhook.last_error}; {seen}", "`webhook test` shows what it answers")
    return passed(what, seen)


def _backlog(webhook: EndpointHealth) -> str:
    if webhook.oldest_at is None:
        return "nothing waits"
    age = round((datetime.now(UTC) - webhook.oldest_at).total_seconds())
    return f"{webhook.backlog} events wait, the oldest for {age} s"

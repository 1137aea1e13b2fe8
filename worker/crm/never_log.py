"""The never-log list of an account: addresses and domains whose mail makes and matches no record (R14)."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlmodel import col

from worker.crm.accounts import make_first_account
from worker.crm.work import Crm
from worker.domain.addresses import Address, NotAnAddress, domain_in_idna
from worker.domain.errors import Refused
from worker.domain.text import clean
from worker.retries import retry_on_conflict
from worker.store.bulk import insert_rows
from worker.store.tables import NeverLogRow


@retry_on_conflict
def never_log(crm: Crm, text: str, *, now: datetime) -> str:
    """Put an address or a domain on the list; returns the entry as it is compared.

    Raises:
        Refused: when it is neither, or is there already.
    """
    entry = _entry_of(text)
    with crm.begin() as work:
        make_first_account(work, now)
        found = select(col(NeverLogRow.entry)).where(
            col(NeverLogRow.account_id) == work.account.id, col(NeverLogRow.entry) == entry
        )
        if work.connection.scalar(found) is not None:
            raise Refused(
                f"{entry} is on the never-log list of account {work.account.name} already", "never_log_entry_exists"
            )
        insert_rows(work.connection, NeverLogRow, [{"account_id": work.account.id, "entry": entry}])
    return entry


def log_again(crm: Crm, text: str) -> str:
    """Take an entry off the list; returns the entry.

    Raises:
        Refused: when it is not there.
    """
    entry = _entry_of(text)
    with crm.begin() as work:
        removed = work.connection.execute(
            delete(NeverLogRow).where(col(NeverLogRow.account_id) == work.account.id, col(NeverLogRow.entry) == entry)
        )
        if not removed.rowcount:
            raise Refused(
                f"{entry} is not on the never-log list of account {work.account.name}", "never_log_entry_unknown"
            )
    return entry


def list_never_log(crm: Crm, *, limit: int | None) -> list[str]:
    """List the entries in alphabetical order.

    Raises:
        Refused: there is no such account, or there are several and none is named.
        Unavailable: the database is down.
    """
    with crm.read() as work:
        query = select(col(NeverLogRow.entry)).where(col(NeverLogRow.account_id) == work.account.id)
        return list(work.connection.scalars(query.order_by(col(NeverLogRow.entry)).limit(limit)))


def _entry_of(text: str) -> str:
    trimmed = text.strip()
    try:
        if trimmed.lstrip("@").count("@"):
            return Address.parse(trimmed).key
        return _domain(trimmed.removeprefix("@"))
    except NotAnAddress as error:
        raise Refused(
            f"neither an address (boss@example.com) nor a domain (example.com): {clean(text, 80)!r}"
        ) from error


def _domain(text: str) -> str:
    domain = domain_in_idna(text)
    if "." not in domain:
        raise NotAnAddress(f"not a whole domain: {text[:80]!r}")
    return domain

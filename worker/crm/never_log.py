"""The addresses and domains of an account that are never logged (R14)."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlmodel import col

from worker.crm.accounts import find_account, find_or_make_account
from worker.crm.conflict import again_on_conflict
from worker.crm.office import Office
from worker.domain.addresses import Address, NotAnAddress, domain_in_idna
from worker.domain.errors import Refused
from worker.domain.text import clean
from worker.store.bulk import insert_rows
from worker.store.tables import NeverLogRow


@again_on_conflict
def never_log(office: Office, text: str, *, now: datetime) -> str:
    """Put an address or a domain on the list; gives the entry as it is compared.

    Raises:
        Refused: when it is neither, or is there already.
    """
    entry = _entry_of(text)
    with office.database.begin() as connection:
        account = find_or_make_account(connection, office.account, now)
        found = select(col(NeverLogRow.entry)).where(
            col(NeverLogRow.account_id) == account.id, col(NeverLogRow.entry) == entry
        )
        if connection.scalar(found) is not None:
            raise Refused(f"{entry} is on the never-log list of account {account.name} already")
        insert_rows(connection, NeverLogRow, [{"account_id": account.id, "entry": entry}])
    return entry


def log_again(office: Office, text: str) -> str:
    """Take an entry off the list; gives the entry.

    Raises:
        Refused: when it is not there.
    """
    entry = _entry_of(text)
    with office.database.begin() as connection:
        account = find_account(connection, office.account)
        removed = connection.execute(
            delete(NeverLogRow).where(col(NeverLogRow.account_id) == account.id, col(NeverLogRow.entry) == entry)
        )
        if not removed.rowcount:
            raise Refused(
                f"{entry} is not on the never-log list of account {account.name}: `never-log list` shows what is"
            )
    return entry


def list_never_log(office: Office, *, limit: int | None) -> list[str]:
    """The entries in alphabetical order."""
    with office.database.read() as connection:
        account = find_account(connection, office.account)
        query = select(col(NeverLogRow.entry)).where(col(NeverLogRow.account_id) == account.id)
        return list(connection.scalars(query.order_by(col(NeverLogRow.entry)).limit(limit)))


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

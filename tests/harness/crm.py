"""A CRM to file mail into: accounts, users and records by bare rows, messages by their heads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from sqlalchemy import func, select
from sqlmodel import SQLModel

from worker.crm.users import show_dropbox
from worker.crm.work import Crm
from worker.domain.addresses import Address
from worker.domain.messages import Arrival, Attachment, Content, Field, Head
from worker.domain.permissions import DEFAULT_PATTERN, Module, SearchPattern
from worker.domain.ports import Queue, Store
from worker.domain.records import AccountView, Wanted
from worker.domain.tokens import DropboxAddress
from worker.domain.verdicts import Filing
from worker.filing import Candidate, Rules, Views, file_batch, judge_content, routed, wanted
from worker.store.database import Database
from worker.store.inserts import allocate, insert_rows
from worker.store.poll_store import PollStore
from worker.store.tables import (
    AccountRow,
    NeverLogRow,
    ProfileRow,
    RecordAddressRow,
    RecordRow,
    SenderRow,
    TokenRow,
    UserRow,
)

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
QUEUE = Queue("drop@mx.example/INBOX", 1700000000, 0)
DROPBOX = DropboxAddress(Address.parse("drop@drop.example"))
RULES = Rules(DROPBOX)


@dataclass(frozen=True)
class User:
    account_id: int
    id: int
    login: str
    token: str


@dataclass
class Mail:
    """One message in the queue; its own octets hold only what the rules look at."""

    uid: int
    token: str
    sender: str
    to: Sequence[str] = ("jane@client.example",)
    message_id: str = ""
    subject: str = "Offer"
    body: bytes = b"text"
    attachments: tuple[Attachment, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def arrival(self) -> Arrival:
        return Arrival(self.uid, NOW, len(self.body), b"")

    @property
    def content(self) -> Content:
        message_id = self.message_id or f"<{self.uid}@mail.example>"
        fields = (
            Field("delivered-to", f"drop+{self.token}@drop.example"),
            Field("authentication-results", "read by the rules"),
            Field("from", self.sender),
            Field("to", ", ".join(self.to)),
            Field("message-id", message_id),
            Field("subject", self.subject),
        )
        made = {
            "head": Head(fields),
            "raw": self.body,
            "subject": self.subject,
            "message_id": message_id,
            "thread_id": message_id,
            "sent_at": NOW,
            "snippet": "text",
            "attachments": self.attachments,
            "body_digest": b"digest",
        }
        return Content(**{**made, **self.more})


class Rows:
    """Rows as the administration would write them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._numbers = count(1)

    def account(self, name: str = "Acme") -> int:
        with self.database.begin() as connection:
            (account_id,) = allocate(connection, AccountRow, 1)
            insert_rows(
                connection,
                AccountRow,
                [{"id": account_id, "name": name, "name_key": name.lower(), "created_at": NOW}],
            )
            allowed = dict.fromkeys(("bcc_dropbox", "leads", "contacts"), True)
            profile = {"account_id": account_id, "id": 1, "name": "Standard", "name_key": "standard"}
            insert_rows(connection, ProfileRow, [{**profile, **allowed, "manage_profiles": False}])
        return account_id

    def user(
        self,
        account_id: int,
        login: str,
        pattern: SearchPattern = DEFAULT_PATTERN,
        *,
        token: str | None = None,
        enabled: bool = True,
    ) -> User:
        with self.database.begin() as connection:
            (user_id,) = allocate(connection, UserRow, 1)
            user = User(account_id, user_id, login, token or f"{next(self._numbers):026}")
            row = {"account_id": account_id, "id": user_id, "login": login, "login_key": login, "profile_id": 1}
            insert_rows(connection, UserRow, [{**row, "pattern": pattern.value, "enabled": enabled, "created_at": NOW}])
        self.sender(user, login)
        self.token(user, user.token)
        return user

    def sender(self, user: User, address: str, slot: int = 1, proven_at: datetime | None = NOW) -> None:
        row = {"account_id": user.account_id, "user_id": user.id, "slot": slot, "address": address}
        self.insert(SenderRow, {**row, "address_key": address, "proven_at": proven_at, "code_tries": 0})

    def token(self, user: User, token: str, valid_until: datetime | None = None) -> None:
        row = {"token": token, "account_id": user.account_id, "user_id": user.id, "issued_at": NOW}
        self.insert(TokenRow, {**row, "valid_until": valid_until})

    def record(
        self, account_id: int, email: str, module: Module = Module.CONTACT, addresses: Sequence[str] = (), **more: Any
    ) -> int:
        """Make a record; ``addresses`` are those after its email: the secondary one, then others."""
        with self.database.begin() as connection:
            (record_id,) = allocate(connection, RecordRow, 1)
            row = {"account_id": account_id, "id": record_id, "module": module.value, "last_name": email}
            rest = {"first_name": "", "email": email, "source": "", "created_at": NOW}
            insert_rows(connection, RecordRow, [{**row, **rest, **more}])
            of_record = {"account_id": account_id, "record_id": record_id}
            rows = [
                {**of_record, "position": position, "address_key": address, "address": address}
                for position, address in enumerate((email, *addresses), 1)
                if address
            ]
            insert_rows(connection, RecordAddressRow, rows)
        return record_id

    def never_log(self, account_id: int, entry: str) -> None:
        self.insert(NeverLogRow, {"account_id": account_id, "entry": entry})

    def insert(self, row: type[SQLModel], values: dict[str, Any]) -> None:
        with self.database.begin() as connection:
            insert_rows(connection, row, [values])

    def rows(self, row: type[SQLModel]) -> list[dict[str, Any]]:
        table = SQLModel.metadata.tables[str(row.__tablename__)]
        with self.database.read() as connection:
            return [dict(found) for found in connection.execute(select(table).order_by(*table.primary_key)).mappings()]

    def count(self, row: type[SQLModel]) -> int:
        table = SQLModel.metadata.tables[str(row.__tablename__)]
        with self.database.read() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()


def judged(store: Store, *mails: Mail, rules: Rules = RULES) -> list[Candidate]:
    """The mails with whose they are."""
    routes = [routed(mail.content.head, rules) for mail in mails]
    tokens = {token for found in routes for token in found.tokens}
    issued = store.issued(tokens)
    return [
        judge_content(mail.arrival, mail.content, found, rules, issued, NOW)
        for mail, found in zip(mails, routes, strict=True)
    ]


def file(
    store: Store, *mails: Mail, rules: Rules = RULES, meanwhile: Callable[[], object] = lambda: None
) -> Sequence[Filing]:
    """Decide and commit, as the worker does; ``meanwhile`` happens between the look and the commit."""
    candidates = judged(store, *mails, rules=rules)

    def decide_now(views: Views) -> list[Filing]:
        meanwhile()
        return file_batch(candidates, rules, views)

    return store.file(QUEUE, wanted(candidates), decide_now, NOW)


def look(store: Store, asked: Mapping[int, Wanted]) -> dict[int, AccountView]:
    """Return what the accounts know; store nothing."""
    found: dict[int, AccountView] = {}

    def only_look(views: Views) -> list[Filing]:
        found.update(views)
        return []

    store.file(QUEUE, asked, only_look, NOW)
    return found


def decide(store: Store, *mails: Mail, rules: Rules = RULES) -> list[Filing]:
    """Return the decisions on the mails by what the store knows now; store nothing."""
    candidates = judged(store, *mails, rules=rules)
    return file_batch(candidates, rules, look(store, wanted(candidates)))


def commit(store: Store, queue: Queue, filings: Sequence[Filing], at: datetime) -> None:
    """Store what was decided before, however long ago."""
    store.file(queue, {}, lambda _views: filings, at)


Arrive = Callable[..., Filing]


def arriving(crm: Crm) -> Arrive:
    """Return a function that files a mail that a user put the dropbox into Bcc of."""
    store, uids = PollStore(crm.database), count(1)

    def arrive(login: str, to: Sequence[str] = ("carl@client.example",), at: Crm = crm, **more: Any) -> Filing:
        token = show_dropbox(at, login).token or ""
        [filing] = file(store, Mail(next(uids), token, more.pop("sender", login), to, **more))
        return filing

    return arrive

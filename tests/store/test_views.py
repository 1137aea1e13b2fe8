"""What is read before the core decides; and that no account ever sees another's."""

from datetime import timedelta

from tests.harness.crm import NOW, Mail, Rows, file, look
from worker.domain.permissions import DEFAULT_PATTERN, STANDARD, Module
from worker.domain.records import AccountView, Record, Wanted
from worker.domain.tokens import IssuedToken, Owner
from worker.store.poll_store import PollStore
from worker.store.tables import EmailRow, RecordRow

NOTHING: frozenset[bytes] = frozenset()


def addresses(*keys: str) -> Wanted:
    return Wanted(frozenset(keys), NOTHING)


def test_a_token_comes_with_its_owner_as_the_rules_need_it(store: PollStore, crm: Rows) -> None:
    user = crm.user(crm.account(), "joe@acme.example")
    crm.sender(user, "joe@home.example", slot=2)
    crm.sender(user, "joe@claimed.example", slot=3, proven_at=None)
    crm.token(user, "old", valid_until=NOW + timedelta(days=7))
    owner = Owner(
        user.account_id,
        user.id,
        "joe@acme.example",
        enabled=True,
        permissions=STANDARD.permissions,
        pattern=DEFAULT_PATTERN,
        senders=frozenset({"joe@acme.example", "joe@home.example"}),
        unproven_senders=frozenset({"joe@claimed.example"}),
    )
    assert store.issued(["old", user.token, "guessed"]) == {
        user.token: IssuedToken(user.token, owner),
        "old": IssuedToken("old", owner, NOW + timedelta(days=7)),
    }
    assert store.issued([]) == store.issued(["guessed\x00\ud800"]) == {}


def test_an_owner_comes_with_the_accounts_name_where_there_are_several(store: PollStore, crm: Rows) -> None:
    joe = crm.user(crm.account("Acme"), "joe@acme.example")
    assert store.issued([joe.token])[joe.token].owner.account is None
    eve = crm.user(crm.account("Bee"), "eve@bee.example")
    issued = store.issued([joe.token, eve.token])
    assert {found.owner.login: found.owner.account for found in issued.values()} == {
        "joe@acme.example": "Acme",
        "eve@bee.example": "Bee",
    }


def test_a_record_is_found_by_either_of_its_addresses(store: PollStore, crm: Rows) -> None:
    account = crm.account()
    contact = crm.record(account, "jane@client.example", addresses=["jane@home.example"])
    joe = crm.user(account, "joe@acme.example")
    lead = crm.record(account, "jane@home.example", Module.LEAD, created_at=NOW - timedelta(days=1), owner_id=joe.id)
    view = look(store, {account: addresses("jane@client.example", "jane@home.example", "else@client.example")})[account]
    jane = Record(contact, Module.CONTACT, None, NOW)
    assert view.records["jane@client.example"] == (jane,)
    assert set(view.records["jane@home.example"]) == {jane, Record(lead, Module.LEAD, joe.id, NOW - timedelta(days=1))}
    assert "else@client.example" not in view.records


def test_a_record_that_only_matches_by_an_address_gives_way_to_one_whose_email_it_is(
    store: PollStore, crm: Rows
) -> None:
    """A changed address keeps matching, but takes no mail from the record that has it now (R25)."""
    account = crm.account()
    contact, lead = (
        crm.record(account, "new@client.example", module, ["other@home.example", "jane@client.example"])
        for module in (Module.CONTACT, Module.LEAD)
    )
    present = crm.record(account, "jane@client.example")
    view = look(store, {account: addresses("jane@client.example")})[account]
    assert {record.id for record in view.records["jane@client.example"]} == {lead, present}
    assert contact not in {lead, present}


def test_colleagues_are_those_whose_address_is_proven(store: PollStore, crm: Rows) -> None:
    account = crm.account()
    joe = crm.user(account, "joe@acme.example")
    crm.sender(joe, "claimed@client.example", slot=2, proven_at=None)
    view = look(store, {account: addresses("joe@acme.example", "claimed@client.example")})[account]
    assert view.colleagues == {"joe@acme.example"}


def test_the_never_log_list_is_asked_for_addresses_and_domains(store: PollStore, crm: Rows) -> None:
    account = crm.account()
    for entry in ("press@client.example", "bank.example", "unasked.example"):
        crm.never_log(account, entry)
    view = look(store, {account: addresses("press@client.example", "a@client.example", "x@bank.example")})[account]
    assert view.never_log == {"press@client.example", "bank.example"}


def test_no_account_sees_anything_of_another(store: PollStore, crm: Rows) -> None:
    ours, theirs = crm.account("Ours"), crm.account("Theirs")
    joe = crm.user(theirs, "joe@theirs.example")
    mail = Mail(1, joe.token, joe.login)
    file(store, mail)
    crm.never_log(theirs, "bank.example")
    wanted = Wanted(
        frozenset({"jane@client.example", "joe@theirs.example", "a@bank.example"}),
        frozenset({mail.content.fingerprint}),
    )
    views = look(store, {ours: wanted, theirs: wanted})
    assert views[ours] == AccountView()
    assert set(views[theirs].records) == {"jane@client.example"}
    assert views[theirs].colleagues == {"joe@theirs.example"}
    assert views[theirs].never_log == {"bank.example"}
    assert list(views[theirs].emails) == [mail.content.fingerprint]


def test_the_same_mail_in_two_accounts_is_filed_in_each(store: PollStore, crm: Rows) -> None:
    users = [crm.user(crm.account(name), "joe@acme.example") for name in ("Ours", "Theirs")]
    file(
        store,
        *(Mail(uid, user.token, user.login, message_id="<same@mail.example>") for uid, user in enumerate(users, 1)),
    )
    for table in (RecordRow, EmailRow):
        assert {row["account_id"] for row in crm.rows(table)} == {user.account_id for user in users}


def test_a_batch_of_many_accounts_and_addresses_meets_no_limit(store: PollStore, crm: Rows) -> None:
    accounts = [crm.account(f"Account {number}") for number in range(3)]
    record = crm.record(accounts[2], "c39999@client.example")
    many = addresses(*(f"c{number}@client.example" for number in range(40_000)))
    views = look(store, {**dict.fromkeys(accounts, many), 999: many})
    assert [len(views[account].records) for account in (*accounts, 999)] == [0, 0, 1, 0]
    assert views[accounts[2]].records["c39999@client.example"][0].id == record

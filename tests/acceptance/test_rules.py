"""Each rule of the design at work in the installed command; the core's own tests have the tables of cases."""

import base64
import csv
import json
from pathlib import Path

import pytest

from tests.harness.installation import Dropbox
from tests.harness.letters import letter
from tests.servers.cut import Cut

JANE = "jane@acme.example"
BEN = "ben@acme.example"
MOST_OCTETS = 16_000
"""From the mail server, of the login, a head and its structure."""


def story(dropbox: Dropbox, message_id: str) -> dict[str, object]:
    found = dropbox.admin("explain", message_id, "--json").json
    assert isinstance(found, dict)
    return found


def reason(dropbox: Dropbox, mail: bytes) -> str:
    """Deliver one mail that must be rejected; gives the reason."""
    dropbox.deliver(mail)
    ran = dropbox.ok("poll", "--json")
    assert ran.json["rejected"] == 1, ran.err
    [event] = [event for event in ran.events if event["event"] == "message.rejected"]
    assert dropbox.folder() == []
    return str(event["reason"])


def with_attachment(address: str, octets: int, name: str = "big.pdf", **fields: str) -> bytes:
    content = base64.encodebytes(b"x" * octets).decode()
    body = (
        "--b\nContent-Type: text/plain\n\nhello\n--b\nContent-Type: application/pdf\n"
        f'Content-Disposition: attachment; filename="{name}"\nContent-Transfer-Encoding: base64\n\n'
        f"{content}\n--b--\n"
    )
    return letter(address, body=body, Content_Type='multipart/mixed; boundary="b"', **fields)


def test_r1_case_of_the_token_does_not_matter(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    dropbox.deliver(letter(address.upper()))
    assert dropbox.poll() == {"associated": 1}


def test_r2_a_regenerated_address_stops_at_once_and_stays_known(dropbox: Dropbox) -> None:
    old = dropbox.add_user(JANE)
    new = dropbox.ok("dropbox", "regenerate", JANE, "--json").json["address"]
    assert new != old
    assert reason(dropbox, letter(old)) == "revoked_token"
    dropbox.deliver(letter(new))
    assert dropbox.poll() == {"associated": 1}


def test_r2_with_a_grace_period_both_addresses_work(dropbox: Dropbox) -> None:
    old = dropbox.add_user(JANE)
    new = dropbox.ok("dropbox", "regenerate", JANE, "--grace", "7d", "--json").json["address"]
    dropbox.deliver(letter(old, subject="to the old one"))
    dropbox.deliver(letter(new, subject="to the new one"))
    assert dropbox.poll() == {"associated": 2}


def test_r3_the_vcard_carries_the_address(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    card = dropbox.ok("dropbox", "vcard", JANE).out
    assert card.startswith("BEGIN:VCARD")
    assert address in card.replace("\r\n ", "")


def test_r4_openly_addressed_mail_is_routed_too(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    dropbox.deliver(letter("drop@drop.example.com", Cc=address))
    assert dropbox.poll() == {"associated": 1}
    assert [c["email"] for c in dropbox.admin("contact", "list", "--json").json] == ["carl@client.example"]


def test_r5_a_forged_field_below_the_servers_own_does_not_count(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    dropbox.settings["received_by"] = "mx.drop.example"
    assert reason(dropbox, letter(None, X_Original_To=address)) == "no_token"


def test_r6_two_owners_in_one_copy_are_both_served_and_hear_nothing_of_each_other(dropbox: Dropbox) -> None:
    janes, bens = dropbox.add_user(JANE), dropbox.add_user(BEN)
    for login in (JANE, BEN):
        dropbox.admin("sender", "add", login, "team@acme.example")
    dropbox.deliver(letter(f"{janes}, {bens}", sender="team@acme.example", Message_ID="<two@acme.example>"))
    assert dropbox.poll() == {"associated": 1}
    verdicts = story(dropbox, "<two@acme.example>")["verdicts"]
    assert isinstance(verdicts, list)
    assert sorted((verdict["owner"], verdict["outcome"]) for verdict in verdicts) == [
        (BEN, "associated"),
        (JANE, "associated"),
    ]
    shown = {login: address.partition("+")[2][:4] for login, address in ((JANE, janes), (BEN, bens))}
    for verdict in verdicts:
        own, other = (JANE, BEN) if verdict["owner"] == JANE else (BEN, JANE)
        told = json.dumps(verdict, ensure_ascii=False)
        assert f"{shown[own]}…" in told
        assert f"{shown[other]}…" not in told
        assert other not in told
    assert len(dropbox.admin("email", "list", "--json").json) == 1


def test_r7_a_profile_made_later_has_no_dropbox_before_it_is_granted(dropbox: Dropbox) -> None:
    dropbox.add_user(JANE)
    dropbox.ok("profile", "add", "Sales", "--as", JANE)
    profiles = {row["profile"]: row["permissions"] for row in dropbox.admin("profile", "list", "--json").json}
    assert profiles["Sales"] == ["leads", "contacts"]
    assert dropbox.ok("user", "add", BEN, "--profile", "Sales", "--json").json["address"] is None
    dropbox.admin("profile", "grant", "Sales", "bcc_dropbox", "--as", JANE)
    address = dropbox.ok("dropbox", "show", BEN, "--json").json["address"]
    dropbox.admin("profile", "revoke", "Sales", "bcc_dropbox", "--as", JANE)
    assert reason(dropbox, letter(address, sender=BEN)) == "permission_denied"
    dropbox.ok("profile", "grant", "Sales", "bcc_dropbox", "--as", JANE)
    dropbox.deliver(letter(address, sender=BEN))
    assert dropbox.poll() == {"associated": 1}


def test_r8_only_a_profile_manager_makes_profiles(dropbox: Dropbox) -> None:
    dropbox.add_user(JANE)
    dropbox.add_user(BEN)
    refused = dropbox.run("profile", "add", "Sales", "--as", BEN)
    assert refused.code == 1
    assert "manage_profiles" in refused.err
    dropbox.ok("profile", "add", "Sales", "--as", JANE)
    assert "Sales" in dropbox.admin("profile", "list").out


def test_r9_without_the_permission_there_is_no_dropbox(dropbox: Dropbox) -> None:
    dropbox.add_user(JANE)
    address = dropbox.add_user(BEN)
    dropbox.admin("profile", "revoke", "Standard", "bcc_dropbox", "--as", JANE)
    assert dropbox.run("dropbox", "show", BEN).code == 1
    assert reason(dropbox, letter(address, sender=BEN)) == "permission_denied"


def test_r9_a_disabled_user_receives_nothing(dropbox: Dropbox) -> None:
    dropbox.add_user(JANE)
    address = dropbox.add_user(BEN)
    dropbox.admin("user", "disable", BEN)
    assert reason(dropbox, letter(address, sender=BEN)) == "user_disabled"


def test_r10_a_forbidden_module_is_neither_searched_nor_written(dropbox: Dropbox) -> None:
    dropbox.add_user(JANE)
    address = dropbox.add_user(BEN)
    dropbox.admin("dropbox", "pattern", BEN, "leads-or-new-lead")
    dropbox.admin("profile", "revoke", "Standard", "leads", "--as", JANE)
    assert dropbox.run("dropbox", "pattern", BEN, "contacts-or-new-contact").code == 1
    assert reason(dropbox, letter(address, sender=BEN)) == "module_forbidden"


def test_r11_a_sixth_sender_is_refused(dropbox: Dropbox) -> None:
    dropbox.add_user(JANE)
    for number in range(4):
        dropbox.admin("sender", "add", JANE, f"jane{number}@home.example")
    sixth = dropbox.run("sender", "add", JANE, "jane5@home.example")
    assert sixth.code == 1
    assert "five" in sixth.err
    assert len(sixth.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("", "sender_missing"),
        (f"{JANE}, mallory@evil.example", "sender_ambiguous"),
        (f'"{JANE}" <mallory@evil.example>', "sender_not_registered"),
    ],
)
def test_r12_only_one_plain_registered_from_counts(dropbox: Dropbox, sender: str, expected: str) -> None:
    address = dropbox.add_user(JANE)
    assert reason(dropbox, letter(address, From=sender, Reply_To=JANE, Sender=JANE)) == expected


def test_r12_case_and_idna_do_not_matter(dropbox: Dropbox) -> None:
    address = dropbox.add_user("jane@b\u00fccher.example")
    dropbox.deliver(letter(address, sender="Jane <JANE@XN--BCHER-KVA.Example>"))
    assert dropbox.poll() == {"associated": 1}


def test_r13_without_authentication_the_sender_is_not_believed(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    dropbox.settings |= {"authserv_id": "mx.drop.example", "sender_auth": "required"}
    assert reason(dropbox, letter(address)) == "sender_unauthenticated"
    vouched = "mx.drop.example; dmarc=pass header.from=acme.example; dkim=pass header.d=acme.example"
    dropbox.deliver(letter(address, Authentication_Results=vouched))
    assert dropbox.poll() == {"associated": 1}


OURS = "mx.drop.example"


def stamped(dropbox: str, *stamps: str, top: str = "", **more: str) -> bytes:
    """A letter with our server's Authentication-Results above its Received."""
    fields = "".join(f"Authentication-Results: {OURS};\r\n\t{stamp}\r\n" for stamp in stamps)
    return f"{top}{fields}".encode() + letter(dropbox, **more)


def test_r13_what_mail_servers_write_in_their_own_ways(dropbox: Dropbox) -> None:
    """Exim writes IPv6 addresses without quotes; others write several fields, and DMARC in one of its own."""
    address = dropbox.add_user(JANE)
    dropbox.settings |= {"authserv_id": OURS, "sender_auth": "required"}
    exim = (
        "iprev=pass (mail.acme.example) smtp.remote-ip=2001:db8::25;\r\n\tdkim=pass header.d=acme.example header.s=k1"
    )
    several = ("x-csa=none;\r\n\tx-ptr=pass smtp.helo=mail.acme.example", "dmarc=pass header.from=acme.example")
    dropbox.deliver(stamped(address, exim))
    assert dropbox.poll() == {"associated": 1}
    assert reason(dropbox, stamped(address, *several)) == "sender_unauthenticated"
    dropbox.settings |= {"received_by": OURS}
    dropbox.deliver(stamped(address, *several))
    assert dropbox.poll() == {"associated": 1}
    disagreeing = ("dkim=fail header.d=acme.example", "dkim=pass header.d=acme.example")
    assert reason(dropbox, stamped(address, *disagreeing)) == "sender_unauthenticated"


def test_r13_a_field_on_top_of_a_signed_mail_proves_nobody(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    passes = "dkim=pass header.d=acme.example"
    replayed = stamped(address, passes, top="Subject: Win a prize\r\nTo: carl@client.example\r\n")
    dropbox.deliver(replayed)
    assert dropbox.poll() == {"associated": 1}, "nobody is asked to vouch"
    dropbox.settings |= {"authserv_id": OURS, "sender_auth": "required"}
    assert reason(dropbox, replayed) == "fields_repeated"
    told = dropbox.admin("explain", "2").out
    assert "these fields stand more than once: To" in told


def test_r13_an_email_says_whether_its_sender_was_verified(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    dropbox.deliver(stamped(address, "dkim=pass header.d=acme.example"))
    assert dropbox.poll() == {"associated": 1}
    dropbox.settings |= {"authserv_id": OURS, "sender_auth": "required"}
    dropbox.deliver(stamped(address, "dkim=pass header.d=acme.example"))
    assert dropbox.poll() == {"associated": 1}
    emails = dropbox.admin("email", "list", "--json").json
    assert [email["verified"] for email in emails] == [True, False]
    unverified, verified = (dropbox.admin("email", "show", str(email["id"])).out for email in reversed(emails))
    assert "sender not verified" in unverified
    assert "not verified" not in verified
    assert dropbox.admin("email", "show", str(emails[0]["id"]), "--json").json["verified"] is True
    assert "the sender is not verified" in dropbox.admin("explain", "1").out
    assert "DKIM passes for acme.example" in dropbox.admin("explain", "2").out


def test_r13_beyond_the_day_s_records_recipients_wait(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    dropbox.settings |= {"max_new_records_per_day": "1"}
    dropbox.deliver(letter(address, to="carl@client.example, dora@client.example"))
    polled = dropbox.ok("poll", "--json")
    assert [event["owner"] for event in polled.events if event["event"] == "records.limited"] == [JANE]
    assert [row["address"] for row in dropbox.admin("unmatched", "list", "--json").json] == ["dora@client.example"]
    assert "has made 1 records today" in dropbox.admin("explain", "1").out


@pytest.mark.parametrize("command", ["run", "poll"])
def test_r13_nothing_is_filed_before_somebody_says_whom_to_believe(dropbox: Dropbox, command: str) -> None:
    ran = dropbox.run(command, sender_auth="")
    assert (ran.code, ran.out) == (1, "")
    assert [line.split()[1] for line in ran.err.splitlines()] == ["BCC_DROPBOX_AUTHSERV_ID", "BCC_DROPBOX_SENDER_AUTH"]
    checked = dropbox.run("check", "--json", sender_auth="")
    assert checked.code == 1
    assert [finding["result"] for finding in checked.json] == ["fail", "fail"]


def test_r14_nobody_left_to_log_for(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    dropbox.add_user(BEN)
    dropbox.admin("never-log", "add", "bank.example")
    mail = letter(address, to=f"{JANE}, {BEN}, clerk@bank.example, {address}")
    assert reason(dropbox, mail) == "no_recipients"


def test_r15_the_five_patterns(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    dropbox.admin("contact", "add", "carl@client.example")
    dropbox.admin("lead", "add", "lea@client.example")
    people = "carl@client.example, lea@client.example, new@client.example"
    expected = {
        "contacts-or-new-contact": [("contact", False), ("contact", True), ("contact", True)],
        "leads-or-new-lead": [("lead", True), ("lead", False), ("lead", True)],
        "contacts-then-leads-or-new-lead": [("contact", False), ("lead", False), ("lead", True)],
        "contacts-then-leads-or-new-contact": [("contact", False), ("lead", False), ("contact", True)],
        "contacts-then-leads-only": [("contact", False), ("lead", False)],
    }
    for number, (pattern, made) in enumerate(expected.items()):
        # every pattern meets the same two known people and a third nobody knows, at a domain of its own
        names = people.replace("client.example", f"client{number}.example")
        dropbox.admin("contact", "add", f"carl@client{number}.example")
        dropbox.admin("lead", "add", f"lea@client{number}.example")
        dropbox.admin("dropbox", "pattern", JANE, pattern)
        dropbox.deliver(letter(address, to=names, subject=pattern))
        assert dropbox.poll() == {"associated": 1}
        [email] = [e for e in dropbox.admin("email", "list", "--json").json if e["subject"] == pattern]
        found = {record["email"]: (record["module"], record["created"]) for record in email["records"]}
        assert [found[name] for name in names.split(", ") if name in found] == made, pattern


def test_r16_a_record_matches_by_its_secondary_email_in_any_case(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    dropbox.admin("contact", "add", "carl@client.example", "--secondary-email", "Carl.Home@web.example")
    dropbox.deliver(letter(address, to="CARL.HOME@WEB.EXAMPLE"))
    assert dropbox.poll() == {"associated": 1}
    assert len(dropbox.admin("contact", "list", "--json").json) == 1


def test_r17_two_messages_to_one_new_address_make_one_record(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    dropbox.deliver(letter(address, subject="one"))
    dropbox.deliver(letter(address, subject="two"))
    assert dropbox.poll() == {"associated": 2}
    assert len(dropbox.admin("contact", "list", "--json").json) == 1
    assert len(dropbox.sent_emails("contact", "carl@client.example")) == 2


def test_r19_the_second_owners_copy_is_stored_once_and_associated(dropbox: Dropbox) -> None:
    janes, bens = dropbox.add_user(JANE), dropbox.add_user(BEN)
    dropbox.admin("sender", "add", BEN, JANE)
    mail = letter("DROPBOX", Message_ID="<same@acme.example>")
    dropbox.deliver(mail.replace(b"DROPBOX", janes.encode()))
    dropbox.deliver(mail.replace(b"DROPBOX", bens.encode()))
    assert dropbox.poll() == {"associated": 2}
    assert len(dropbox.admin("email", "list", "--json").json) == 1
    dropbox.deliver(mail.replace(b"DROPBOX", janes.encode()))
    assert dropbox.poll() == {"duplicate": 1}


def test_r19_a_reused_message_id_does_not_swallow_a_different_mail(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    dropbox.deliver(letter(address, Message_ID="<reused@acme.example>", body="first\n"))
    dropbox.deliver(letter(address, Message_ID="<reused@acme.example>", body="second\n"))
    assert dropbox.poll() == {"associated": 2}


def test_r21_attachments_over_the_limit_are_rejected(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    assert reason(dropbox, with_attachment(address, 10 * 1024 * 1024 + 1)) == "attachments_too_large"


def test_r21_what_the_server_knows_to_be_too_large_is_not_downloaded(dropbox: Dropbox, cut: Cut) -> None:
    mail = with_attachment(dropbox.add_user(JANE), 12 * 1024 * 1024)
    dropbox.settings["imap_port"] = str(cut.port)
    assert reason(dropbox, mail) == "attachments_too_large"
    assert 0 < cut.passed() < MOST_OCTETS
    assert dropbox.folder("Rejected") == [mail]


def test_r21_attachments_of_exactly_the_limit_are_taken(dropbox: Dropbox) -> None:
    dropbox.deliver(with_attachment(dropbox.add_user(JANE), 10 * 1024 * 1024))
    assert dropbox.poll() == {"associated": 1}


def test_r14_r21_the_limits_are_settings(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    dropbox.settings |= {"max_recipients": "1", "max_attachment_bytes": "1000"}
    assert reason(dropbox, with_attachment(address, 1001)) == "attachments_too_large"
    two = "carl@client.example, dora@client.example"
    dropbox.deliver(with_attachment(address, 1000, to=two, Message_ID="<limits@acme.example>"))
    assert dropbox.poll() == {"associated": 1}
    [email] = dropbox.admin("email", "list", "--json").json
    assert [record["email"] for record in email["records"]] == ["carl@client.example"]
    recipients = story(dropbox, "<limits@acme.example>")["trace"]["recipients"]  # type: ignore[index]
    assert [row["result"] for row in recipients] == ["created", "skipped"]
    assert (recipients[1]["address"], recipients[1]["why"]) == ("dora@client.example", "beyond the first 1 recipients")


@pytest.mark.parametrize(
    "sign",
    [
        {"Auto_Submitted": "auto-replied"},
        {"Return_Path": "<>"},
        {"Content_Type": 'multipart/report; report-type=delivery-status; boundary="b"'},
        {"X_BCC_Dropbox_Loop": "1"},
    ],
    ids=lambda sign: next(iter(sign)),
)
def test_r23_automatic_mail_is_not_correspondence(dropbox: Dropbox, sign: dict[str, str]) -> None:
    address = dropbox.add_user(JANE)
    assert reason(dropbox, letter(address, **sign)) == "automatic"


def test_r23_other_fields_are_no_sign_of_it(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    dropbox.deliver(letter(address, X_Auto_Response_Suppress="All", Precedence="bulk", Auto_Submitted="no"))
    assert dropbox.poll() == {"associated": 1}


def test_bad_rows_of_an_import_are_named_and_the_rest_is_imported(dropbox: Dropbox, tmp_path: Path) -> None:
    dropbox.add_user(JANE)
    rows = tmp_path / "people.csv"
    with rows.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["Email", "Last_Name"], ["a@x.example", "A"], ["no address", "B"], ["c@x.example", ""]]
        )
    ran = dropbox.run("contact", "import", str(rows))
    assert "line 3" in ran.err + ran.out
    assert {row["email"] for row in dropbox.admin("contact", "list", "--json").json} == {"a@x.example", "c@x.example"}

"""The configuration of a private Dovecot, in the form that the installed version reads: that of 2.3 or of 2.4."""

import re
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.secrecy import DOVECOTS_PASSWORD
from tests.servers.account import Account
from tests.servers.certificates import Certificates
from tests.servers.requirement import require

PASSWORD = DOVECOTS_PASSWORD
CAPABILITIES = (
    "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES "
    "THREAD=REFS THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN "
    "NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES "
    "WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW "
    "STATUS=SIZE SAVEDATE LITERAL+ NOTIFY SPECIAL-USE"
)
# One unprivileged user runs all of it, so it needs no chroot and no setuid.
CONFIGURATION = """
{version}
base_dir = {folder}/run
state_dir = {folder}/state
log_path = /dev/stderr
default_internal_user = {account.name}
default_internal_group = {account.group}
default_login_user = {account.name}
protocols = imap lmtp
listen = 127.0.0.1
ssl = yes
auth_failure_delay = 0
recipient_delimiter = +
mail_fsync = never
mail_max_userip_connections = 1000
first_valid_uid = 1
first_valid_gid = 1
namespace inbox {{
  inbox = yes
  prefix = {prefix}
  separator = {separator}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  {unlimited}
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = {imaps_port}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    {listen} = 127.0.0.1
    port = {lmtp_port}
  }}
}}
{storage}
{certificates}
{accounts}
{capability}
{extra}
"""
ANYBODY_2_3 = """
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={account.uid} gid={account.gid} home={mail}/%u allow_all_users=yes
}}
"""
ANYBODY_2_4 = """
passdb static {{
  password = {password}
}}
userdb static {{
  allow_all_users = yes
  fields {{
    uid = {account.uid}
    gid = {account.gid}
    home = {mail}/%{{user}}
  }}
}}
"""
STORAGE_2_3 = """
disable_plaintext_auth = no
mail_location = maildir:~/Maildir
"""
STORAGE_2_4 = """
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = ~/Maildir
"""


@cache
def is_2_4() -> bool:
    """Tell whether the installed Dovecot is 2.4 or newer. Neither form can be read by the other version."""
    program = require("dovecot", "dovecot-imapd")
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"(\d+)\.(\d+)", told)
    assert found, f"dovecot --version says {told!r}"
    return (int(found[1]), int(found[2])) >= (2, 4)


def by_version(for_2_3: str, for_2_4: str) -> str:
    """Choose the text that the installed Dovecot reads."""
    return for_2_4 if is_2_4() else for_2_3


def shown_certificate(shown: Certificates) -> str:
    """Name the certificate that the server shows."""
    return by_version(
        f"ssl_cert = <{shown.certificate}\nssl_key = <{shown.key}\n",
        f"ssl_server_cert_file = {shown.certificate}\nssl_server_key_file = {shown.key}\n",
    )


@dataclass(frozen=True)
class DovecotSettings:
    """How one instance differs; `extra` is appended to its configuration as it is."""

    without: frozenset[str] = field(default_factory=frozenset)
    """Capabilities it does not announce."""
    prefix: str = ""
    separator: str = "."
    password: str = PASSWORD
    has_accounts: bool = False
    """Whether `extra` says who has a mailbox; else everybody has one."""
    extra: str = ""


@dataclass(frozen=True)
class Place:
    """Where one instance runs, and as whom."""

    folder: Path
    mail: Path
    account: Account
    certificates: Certificates
    imap: int
    imaps: int
    lmtp: int


def configuration(settings: DovecotSettings, place: Place) -> str:
    """Write dovecot.conf for the installed version."""
    anybody = by_version(ANYBODY_2_3, ANYBODY_2_4).format(
        password=settings.password, account=place.account, mail=place.mail
    )
    return CONFIGURATION.format(
        version=by_version("", "dovecot_config_version = 2.4.1\ndovecot_storage_version = 2.4.1"),
        folder=place.folder,
        account=place.account,
        prefix=settings.prefix,
        separator=settings.separator,
        unlimited=by_version("service_count = 0", "restart_request_count = unlimited"),
        listen=by_version("address", "listen"),
        imap_port=place.imap,
        imaps_port=place.imaps,
        lmtp_port=place.lmtp,
        storage=by_version(STORAGE_2_3, STORAGE_2_4),
        certificates=shown_certificate(place.certificates),
        accounts="" if settings.has_accounts else anybody,
        capability=_capability(settings.without),
        extra=settings.extra,
    )


def _capability(without: frozenset[str]) -> str:
    """Switch capabilities off: 2.3 takes the whole list, 2.4 the ones that differ."""
    if not without:
        return ""
    kept = " ".join(name for name in CAPABILITIES.split() if name not in without)
    switched = "".join(f"  {name} = no\n" for name in sorted(without))
    return by_version(f"imap_capability = {kept}\n", f"imap_capability {{\n{switched}}}\n")

"""How each recipe of config/ is put together on a machine: the order of its README, with the machine's own places."""

from collections.abc import Callable, Mapping

from tests.recipes.chain import MailServer, Room
from tests.recipes.recipe import Recipe
from tests.servers.exim import USER as EXIM
from tests.servers.exim import Exim
from tests.servers.names import Names
from tests.servers.opensmtpd import OpenSmtpd
from tests.servers.postfix import Postfix
from tests.servers.process import free_port

Built = tuple[str, Callable[[], MailServer]]


def postfix_virtual(recipe: Recipe, room: Room, switched_on: Mapping[str, str] | None = None) -> Built:
    main = recipe.file(
        "main.cf",
        {
            "virtual_mailbox_base = /var/vmail": f"virtual_mailbox_base = {room.mail}",
            "virtual_uid_maps = static:5000": f"virtual_uid_maps = static:{room.account.uid}",
            "virtual_gid_maps = static:5000": f"virtual_gid_maps = static:{room.account.gid}",
            **(switched_on or {}),
        },
    )
    files = {"bcc-dropbox.header_checks": recipe.file("bcc-dropbox.header_checks")}
    return room.mailbox(), lambda: Postfix(main, files=files)


def postfix_dovecot_lmtp(recipe: Recipe, room: Room, switched_on: Mapping[str, str] | None = None) -> Built:
    places = {"unix:private/bcc-dropbox-lmtp": f"unix:{room.socket}", **(switched_on or {})}
    main = recipe.file("main.cf", places)
    master = recipe.file("master.cf", {"- - y - - lmtp": "- - n - - lmtp"})  # unpacked, it has no chroot
    files = {"bcc-dropbox.header_checks": recipe.file("bcc-dropbox.header_checks")}
    listener = room.listener(recipe, "/var/spool/postfix/private/bcc-dropbox-lmtp", "postfix")
    return room.mailbox() + listener, lambda: Postfix(main, master, files)


def postfix_dovecot_sieve(recipe: Recipe, room: Room, stamping: str = "") -> Built:
    """Build the recipe with the main.cf lines that check senders; then the script keeps the results."""
    main = recipe.file("main.cf", {"lmtp:unix:private/dovecot-lmtp": f"lmtp:unix:{room.socket}"}) + stamping
    left_out = {'deleteheader "Authentication-Results";': ""} if stamping else {}
    script = room.write("bcc-dropbox.sieve", recipe.file("bcc-dropbox.sieve", left_out))
    checks = {"bcc-dropbox.header_checks": Recipe("postfix-virtual").file("bcc-dropbox.header_checks")}
    sieve = recipe.for_dovecot("99-bcc-dropbox-sieve.conf", {"/etc/dovecot/bcc-dropbox.sieve": script})
    theirs = f"service lmtp {{\n  unix_listener {room.socket} {{\n    mode = 0666\n  }}\n}}\n"
    return room.mailbox() + sieve + theirs, lambda: Postfix(main, files=checks if stamping else {})


def exim4_lmtp(
    recipe: Recipe, room: Room, names: Names | None = None, changed: Mapping[str, str] | None = None
) -> Built:
    places = {
        "/run/dovecot/bcc-dropbox-lmtp": room.socket,
        "<; 0.0.0.0 ; ::0 ; 127.0.0.1.RECHECK_PORT": "127.0.0.1.{port} : 127.0.0.1.RECHECK_PORT",
        "RECHECK_PORT = 10025": f"RECHECK_PORT = {free_port()}",
        **(changed or {}),
    }
    configuration = recipe.file("exim4.conf", places)
    listener = room.listener(recipe, "/run/dovecot/bcc-dropbox-lmtp", EXIM)
    return room.mailbox() + listener, lambda: Exim(configuration, names)


def opensmtpd(recipe: Recipe, room: Room) -> Built:
    drop = room.write("drop-envelope-fields", recipe.file("drop-envelope-fields"))
    drop.chmod(0o755)
    configuration = recipe.file(
        "smtpd.conf",
        {
            "/run/dovecot/bcc-dropbox-lmtp": room.socket,
            "/usr/local/lib/bcc-dropbox/drop-envelope-fields": drop,
            "listen on 0.0.0.0": "listen on 127.0.0.1 port {port}",
            '= "vmail"': f'= "{room.account.name}"',
        },
    )
    listener = room.listener(recipe, "/run/dovecot/bcc-dropbox-lmtp", "vmail")
    return room.mailbox() + listener, lambda: OpenSmtpd(configuration)


BUILDS: dict[str, Callable[[Recipe, Room], Built]] = {
    "postfix-virtual": postfix_virtual,
    "postfix-dovecot-lmtp": postfix_dovecot_lmtp,
    "postfix-dovecot-sieve": postfix_dovecot_sieve,
    "exim4-lmtp": exim4_lmtp,
    "opensmtpd": opensmtpd,
}

"""The unprivileged system user that servers run as when the tests run as root."""

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Account:
    """Who a server runs as: ourselves, or `nobody` when we are root."""

    name: str
    group: str
    uid: int
    gid: int

    def command(self, *arguments: str | Path) -> list[str]:
        """Give the command line that runs `arguments` as this user."""
        plain = [str(argument) for argument in arguments]
        if os.geteuid() == self.uid:
            return plain
        ids = [f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        return ["setpriv", *ids, "--", *plain]

    def own(self, path: Path) -> None:
        if os.geteuid() != self.uid:
            os.chown(path, self.uid, self.gid)

    def make_folder(self, path: Path) -> Path:
        """Make the folder and those above it that are missing, all owned by this user."""
        if not path.is_dir():
            self.make_folder(path.parent)
            path.mkdir(mode=0o755, exist_ok=True)
            self.own(path)
        return path


def unprivileged() -> Account:
    """PostgreSQL refuses root, and Dovecot run by one user needs neither chroot nor setuid."""
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    group = grp.getgrgid(user.pw_gid).gr_name
    return Account(user.pw_name, group, user.pw_uid, user.pw_gid)

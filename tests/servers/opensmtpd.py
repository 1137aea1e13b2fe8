"""A private OpenSMTPD, run from its unpacked package with the configuration that a test gives."""

from pathlib import Path

from tests.servers.namespace import require_mounts, with_mounts, with_users
from tests.servers.process import ServerProcess, free_port, new_folder
from tests.servers.submission import greets
from tests.servers.unpacked import unpacked

USERS = ("opensmtpd", "opensmtpq")


class OpenSmtpd:
    """One instance; its configuration listens on the port that stands there as `{port}`."""

    def __init__(self, configuration: str) -> None:
        require_mounts("OpenSMTPD")
        programs = unpacked("opensmtpd")
        self.port = free_port()
        folder = new_folder("opensmtpd")
        file = folder / "smtpd.conf"
        file.write_text(configuration.replace("{port}", str(self.port)))
        file.chmod(0o600)
        mounts = {
            **with_users(folder, *USERS),
            **_own_folders(folder),
            programs.program("/usr/libexec"): Path("/usr/libexec"),
        }
        self.process = ServerProcess(
            "opensmtpd",
            with_mounts(mounts, [programs.program("/usr/sbin/smtpd"), "-d", "-f", file]),
            folder,
            ready=lambda: greets(self.port),
            environment={"LD_LIBRARY_PATH": programs.library_path},
        )

    def start(self) -> None:
        self.process.start()

    def remove(self) -> None:
        self.process.remove()


def _own_folders(folder: Path) -> dict[Path, Path]:
    """Make mounts that stand before what it would write to."""
    spool, state, run = folder / "spool", folder / "lib", folder / "run"
    for made, mode in ((spool / "smtpd", 0o711), (state / "opensmtpd" / "empty", 0o755), (run, 0o755)):
        made.mkdir(parents=True)
        made.chmod(mode)
    return {spool: Path("/var/spool"), state: Path("/var/lib"), run: Path("/run")}

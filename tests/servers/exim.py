"""A private Exim 4, run from its unpacked package with the configuration that a test gives."""

from tests.servers.names import Names
from tests.servers.namespace import require_mounts, with_mounts, with_users
from tests.servers.process import ServerProcess, free_port, new_folder
from tests.servers.submission import greets
from tests.servers.unpacked import unpacked

USER = "Debian-exim"
# What makes it private; the test's configuration follows. Installed, Exim is setuid to restart itself as root;
# here it stays root until it delivers.
MAIN = """
exim_path = {program}
exim_user = root
exim_group = root
keep_environment = LD_LIBRARY_PATH
spool_directory = {folder}/spool
log_file_path = {folder}/exim-%s.log
pid_file_path = {folder}/exim.pid
tls_advertise_hosts =
"""


class Exim:
    """One instance that takes mail by SMTP on `port`; its configuration names it as ``{port}``."""

    def __init__(self, configuration: str, names: Names | None = None) -> None:
        require_mounts("Exim")
        programs = unpacked("exim4-daemon-light")
        program = programs.program("/usr/sbin/exim4")
        self.port = free_port()
        folder = new_folder("exim")
        file = folder / "exim4.conf"
        private = MAIN.format(program=program, folder=folder)
        file.write_text(private + configuration.replace("{port}", str(self.port)))
        mounts = with_users(folder, USER) | (names.mounts(folder) if names else {})
        self.process = ServerProcess(
            "exim-main",  # Exim's name for the log that is shown when a test fails
            with_mounts(mounts, [program, "-bdf", "-q1m", "-C", file]),
            folder,
            ready=lambda: greets(self.port),
            environment={"LD_LIBRARY_PATH": programs.library_path},
        )

    def start(self) -> None:
        self.process.start()

    def remove(self) -> None:
        self.process.remove()

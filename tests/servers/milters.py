"""Private opendkim and opendmarc, run from their unpacked packages with the configurations that a test gives."""

from pathlib import Path

from tests.servers.names import Names
from tests.servers.namespace import require_mounts, with_mounts, with_users
from tests.servers.process import ServerProcess, accepts, new_folder
from tests.servers.unpacked import unpacked


class Milter:
    """One of the two, as `program` names it; its configuration says on which `port` it listens."""

    def __init__(self, program: str, configuration: str, port: int, names: Names) -> None:
        require_mounts(program)
        programs = unpacked("opendkim", "opendmarc")
        folder = new_folder(program)
        folder.chmod(0o777)  # for the PidFile, written by the user that it becomes
        [unit] = programs.root.glob(f"**/systemd/system/{program}.service")
        pid_file = _setting(unit.read_text(), "PIDFile=")
        assert _setting(configuration, "PidFile ") == pid_file, "systemd would wait for another file"
        file = folder / f"{program}.conf"
        file.write_text(configuration.replace(pid_file, str(folder / "pid")))
        mounts = with_users(folder, program) | names.mounts(folder)
        self.process = ServerProcess(
            program,
            with_mounts(mounts, [programs.program(f"/usr/sbin/{program}"), "-f", *_configured_by(program, file)]),
            folder,
            ready=lambda: accepts(port),
            environment={"LD_LIBRARY_PATH": programs.library_path},
        )

    def start(self) -> None:
        self.process.start()

    def remove(self) -> None:
        self.process.kill()  # stopping takes opendkim seconds
        self.process.remove()


def _configured_by(program: str, file: Path) -> tuple[str, Path]:
    return ("-x" if program == "opendkim" else "-c"), file


def _setting(text: str, name: str) -> str:
    [value] = [line.removeprefix(name).strip() for line in text.splitlines() if line.startswith(name)]
    return value

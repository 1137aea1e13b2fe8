"""A recipe's own files, with nothing changed but where things are on the machine of the test."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.servers.dovecot_configuration import by_version

CONFIG = Path(__file__).parents[2] / "config"


@dataclass(frozen=True)
class Recipe:
    """A folder of `config/`."""

    name: str

    def file(self, name: str, places: Mapping[str, object] | None = None) -> str:
        """Read a file and replace each key of `places` by its value; a key that is not in the file fails the test."""
        text = (CONFIG / self.name / name).read_text()
        for there, here in (places or {}).items():
            assert there in text, f"{self.name}/{name} no longer says {there}"
            text = text.replace(there, str(here))
        return text

    def for_dovecot(self, name: str, places: Mapping[str, object] | None = None) -> str:
        """Give the text of a file that exists once for each version of Dovecot, in the form of the installed one."""
        return self.file(by_version(f"dovecot-2.3/{name}", f"dovecot-2.4/{name}"), places)

    def settings(self) -> dict[str, str]:
        """Read the settings of worker.env by name; what is commented out there is not set."""
        lines = [line for line in self.file("worker.env").splitlines() if line and not line.startswith("#")]
        named = (line.removeprefix("BCC_DROPBOX_").split("=", 1) for line in lines)
        return {name.lower(): value for name, value in named}

"""The secrets that systemd hands to the service alone (systemd.exec(5), LoadCredential=)."""

import os
from pathlib import Path

from worker.settings.problems import Problem, variable

_TAKEN = ("imap_password", "oauth_client_secret", "oauth_refresh_token")
_REFUSED = ("database_url", "smtp_url")
"""Commands see no credential: they would work on another database, and take addresses for proven that are not."""


def read_credentials() -> tuple[dict[str, str], list[Problem]]:
    """The secrets by field, and what is wrong with them."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    if not given:
        return {}, []
    folder = Path(given)
    problems = [
        Problem(f"the credential {name} is not read, as commands would not have it: set {variable(name)} instead")
        for name in _REFUSED
        if os.path.lexists(folder / name)
    ]
    secrets = {}
    for name in _TAKEN:
        try:
            secrets[name] = (folder / name).read_text(encoding="utf-8").strip("\r\n")
        except FileNotFoundError:
            continue
        except UnicodeDecodeError:
            problems.append(Problem(f"credential {folder / name} cannot be read: it is not UTF-8 text"))
        except OSError as error:
            told = f"credentials in {folder} cannot be read: {os.strerror(error.errno or 0)}"
            return {}, [Problem(told, frozenset(_TAKEN), is_bad_value=True)]
    return secrets, problems

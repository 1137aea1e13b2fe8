"""Every setting, one frozen object, checked at start: all problems at once, each by the variable's name."""

from worker.settings.model import MailboxAccess, OAuthAccess, Settings
from worker.settings.problems import PREFIX, SettingsError
from worker.settings.sources import state_folder
from worker.settings.values import Idle, ImapAuth, ListenAddress, LogFormat, LogLevel, SenderAuth, Tls

__all__ = [
    "PREFIX",
    "Idle",
    "ImapAuth",
    "ListenAddress",
    "LogFormat",
    "LogLevel",
    "MailboxAccess",
    "OAuthAccess",
    "SenderAuth",
    "Settings",
    "SettingsError",
    "Tls",
    "state_folder",
]

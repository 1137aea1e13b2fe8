"""Every setting, one frozen object, checked at start: all problems at once, each by the variable's name."""

from worker.settings.model import Settings
from worker.settings.sources import PREFIX, SettingsError, state_folder
from worker.settings.variables import Idle, ListenAddress, LogFormat, LogLevel, SenderAuth

__all__ = [
    "PREFIX",
    "Idle",
    "ListenAddress",
    "LogFormat",
    "LogLevel",
    "SenderAuth",
    "Settings",
    "SettingsError",
    "state_folder",
]

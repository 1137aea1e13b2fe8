"""Every setting, one frozen object, checked at start: all problems at once, each by the variable's name."""

from worker.settings.model import Settings, SettingsError
from worker.settings.variables import PREFIX, Idle, ListenAddress, LogFormat, LogLevel, SenderAuth, state_folder

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

"""One poll of one mailbox: every message of the queue goes one way to its end (fetch, decide, commit, move).

Nothing in the mailbox changes before the database has committed.
"""

from worker.poll.poller import Limits, Poller, Stop
from worker.poll.report import PollReport, Watcher, Watchers

__all__ = ["Limits", "PollReport", "Poller", "Stop", "Watcher", "Watchers"]

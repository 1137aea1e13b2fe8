"""One poll of one mailbox: every message of the queue goes the one way to its end.

Commit, then move: nothing in the mailbox changes before the database has it.
"""

from worker.poll.poller import Limits, Poller
from worker.poll.report import PollReport
from worker.poll.watcher import Watcher

__all__ = ["Limits", "PollReport", "Poller", "Watcher"]

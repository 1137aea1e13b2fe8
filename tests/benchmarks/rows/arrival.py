"""From arrival to association: woken by IDLE, and by the clock alone."""

import random
import threading
import time
from typing import Self

from imapclient import IMAPClient

from tests.benchmarks.finding import Finding, at_rank
from tests.benchmarks.instance import Post, Service
from tests.benchmarks.mix import message
from tests.benchmarks.stage import Stage

MOST_P50 = 0.100
MOST_P99 = 0.400
MOST_BEYOND_POLL = 2.0
_PATIENCE = 30


class Notice:
    """A bare IDLE on a mailbox of its own: when the server says that there is mail, and nothing else."""

    def __init__(self, client: IMAPClient) -> None:
        self._client = client
        self._client.select_folder("INBOX")
        self._told = threading.Event()
        self._moment = 0.0
        self._ended = False
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._client.idle()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._thread.join()
        self._client.idle_done()
        self._client.logout()

    def wait(self) -> float:
        """The moment at which it was told, once for each delivery."""
        if not self._told.wait(_PATIENCE):
            raise TimeoutError("the server did not tell an idle client of new mail")
        self._told.clear()
        return self._moment

    def _watch(self) -> None:
        while not self._ended:
            answers = self._client.idle_check(timeout=0.5)
            moment = time.monotonic()
            if any(len(answer) > 1 and answer[1] == b"EXISTS" for answer in answers):
                self._moment = moment
                self._told.set()


def idle(stage: Stage) -> Finding:
    """A bare client and the worker, side by side on twin mailboxes: what the worker adds to the server's own notice."""
    return from_arrival(stage, "arrival-idle", "", stage.database("sqlite"))


def from_arrival(stage: Stage, row: str, beside: str, url: str) -> Finding:
    """Measure what the worker adds to the server's notice, on this database."""
    user, twin = stage.mailbox(), stage.mailbox()
    notices: list[float] = []
    filings: list[float] = []
    with (
        Service(Post(stage.dovecot.imap, user, url), {"POLL_SECONDS": "60"}) as service,
        Notice(stage.dovecot.connect(twin)) as notice,
    ):
        for number in range(stage.effort.arrivals):
            time.sleep(random.uniform(0.2, 0.7))
            raw = message(number, seed="arrivals")
            stage.dovecot.deliver(twin, raw)
            told_after = time.monotonic()
            stage.dovecot.deliver(user, raw)
            delivered = time.monotonic()
            notices.append(notice.wait() - told_after)
            filings.append(_filed(service, raw) - delivered)
    beyond = [filing - notice for filing, notice in zip(filings, notices, strict=True)]
    p50, p99 = at_rank(beyond, 0.50), at_rank(beyond, 0.99)
    _clean(stage, url, user, twin)
    return Finding(
        row=row,
        what=f"arrival to association, IDLE, {len(beyond)} messages{beside}: beyond the server's own notice",
        target=f"p50 ≤ {MOST_P50 * 1000:.0f} ms, p99 ≤ {MOST_P99 * 1000:.0f} ms",
        result=f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms",
        yardstick=f"a bare IDLE: notice after {at_rank(notices, 0.5):.2f} s",
        passed=p50 <= MOST_P50 and p99 <= MOST_P99,
        figures={"notices": notices, "filings": filings, "beyond_p50": p50, "beyond_p99": p99},
    )


def polled(stage: Stage) -> Finding:
    """Measure without IDLE; mail arrives at random moments between two polls."""
    seconds = stage.effort.poll_seconds
    url, user = stage.database("sqlite"), stage.mailbox()
    filings: list[float] = []
    settings = {"POLL_SECONDS": str(seconds), "IDLE": "off"}
    with Service(Post(stage.dovecot.imap, user, url), settings) as service:
        for number in range(stage.effort.polled_arrivals):
            time.sleep(random.uniform(0, seconds))
            raw = message(number, seed="polled arrivals")
            stage.dovecot.deliver(user, raw)
            delivered = time.monotonic()
            filings.append(_filed(service, raw) - delivered)
    worst = max(filings)
    _clean(stage, url, user)
    return Finding(
        row="arrival-polled",
        what=f"the same, polling only, POLL_SECONDS={seconds}, {len(filings)} messages",
        target=f"never above {seconds + MOST_BEYOND_POLL:.0f} s",
        result=f"at most {worst:.2f} s",
        yardstick="POLL_SECONDS",
        passed=worst <= seconds + MOST_BEYOND_POLL,
        figures={"filings": filings},
    )


def _filed(service: Service, raw: bytes) -> float:
    message_id = raw.partition(b"\nMessage-ID: ")[2].partition(b"\n")[0].decode()
    return service.wait_for(lambda event: event["event"] == "message.associated" and event["message_id"] == message_id)


def _clean(stage: Stage, url: str, *users: str) -> None:
    for user in users:
        stage.remove_mailbox(user)
    stage.remove_database(url)

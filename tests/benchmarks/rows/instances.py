"""Two mailboxes and two service instances on one PostgreSQL, against one of each."""

from statistics import median

from tests.benchmarks.finding import Finding, Pairs, per_second
from tests.benchmarks.instance import Poll, Post
from tests.benchmarks.machine import CORES, busy_seconds
from tests.benchmarks.stage import Stage

TARGET = 1.5


def measure(stage: Stage) -> Finding:
    count = stage.effort.backlog
    letters = stage.letters(2 * count)
    work: dict[int, list[float]] = {1: [], 2: []}
    """By number of instances: processor seconds for each message, the servers' own included."""

    def rate(instances: int) -> float:
        """Messages a second, from the first poll's beginning to the last one's end; nobody's mail is another's copy."""
        url = stage.database("postgresql")
        users = [stage.mailbox(letters[place * count :][:count]) for place in range(instances)]
        stage.settle(letters)
        busy = busy_seconds()
        polls = [Poll(Post(stage.dovecot.imap, user, url), stage.folder) for user in users]
        drains = [poll.wait() for poll in polls]
        work[instances].append((busy_seconds() - busy) / (count * instances))
        for user, drained in zip(users, drains, strict=True):
            stage.see_it_empty(user, count, drained)
            stage.remove_mailbox(user)
        stage.remove_database(url)
        seconds = max(d.finished_at for d in drains) - min(d.finished_at - d.seconds for d in drains)
        return count * instances / seconds

    pairs = Pairs.measure(stage.effort.pairs, lambda: rate(1), lambda: rate(2))
    ceiling = CORES / median(work[1])
    return Finding(
        row="instances",
        what="two mailboxes, two instances, one PostgreSQL",
        target=f"≥ {TARGET:.1f} times one",
        result=f"{pairs.ratio:.2f} times ({per_second(max(pairs.subjects))})",
        yardstick=f"one mailbox, one instance: {per_second(max(pairs.yardsticks))}; "
        f"at its {median(work[1]) * 1000:.2f} ms of processor a message {CORES} cores hold {per_second(ceiling)}",
        passed=pairs.ratio >= TARGET,
        figures=pairs.figures | {"processor_seconds": work, "ceiling": ceiling},
    )

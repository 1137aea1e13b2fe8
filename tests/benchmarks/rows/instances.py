"""Two mailboxes and two service instances on one PostgreSQL, against what the cores hold at the cost of a message."""

from statistics import median

from tests.benchmarks.finding import Finding, Pairs, per_second
from tests.benchmarks.instance import Poll, Post
from tests.benchmarks.machine import CORES, busy_seconds
from tests.benchmarks.stage import Stage

TARGET = 0.95
"""Share of the messages that the cores could file at the cost of a message where one instance runs alone."""


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
    reached = median(pairs.subjects) / ceiling
    return Finding(
        row="instances",
        what="two mailboxes, two instances, one PostgreSQL",
        target=f"≥ {TARGET:.2f} of what {CORES} cores hold",
        result=f"{reached:.2f} ({per_second(median(pairs.subjects))}), {pairs.ratio:.2f} times one instance",
        yardstick=f"{CORES} cores at {median(work[1]) * 1000:.2f} ms of processor a message, as one instance takes: "
        f"{per_second(ceiling)}; one instance: {per_second(median(pairs.yardsticks))}",
        passed=reached >= TARGET,
        figures=pairs.figures | {"processor_seconds": work, "ceiling": ceiling, "reached": reached},
    )

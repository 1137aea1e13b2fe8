"""Two mailboxes and two service instances on one PostgreSQL, against one of each."""

from tests.benchmarks.finding import Finding, Pairs, per_second
from tests.benchmarks.instance import Poll, Post
from tests.benchmarks.stage import Stage

TARGET = 1.5


def measure(stage: Stage) -> Finding:
    count = stage.effort.backlog
    letters = stage.letters(2 * count)

    def rate(instances: int) -> float:
        """Messages a second, from the first poll's beginning to the last one's end; nobody's mail is another's copy."""
        url = stage.database("postgresql")
        users = [stage.mailbox(letters[place * count :][:count]) for place in range(instances)]
        stage.settle(letters)
        polls = [Poll(Post(stage.dovecot.imap, user, url), stage.folder) for user in users]
        drains = [poll.wait() for poll in polls]
        for user, drained in zip(users, drains, strict=True):
            stage.see_it_empty(user, count, drained)
            stage.remove_mailbox(user)
        stage.remove_database(url)
        seconds = max(d.finished_at for d in drains) - min(d.finished_at - d.seconds for d in drains)
        return count * instances / seconds

    pairs = Pairs.measure(stage.effort.pairs, lambda: rate(1), lambda: rate(2))
    return Finding(
        row="instances",
        what="two mailboxes, two instances, one PostgreSQL",
        target=f"≥ {TARGET:.1f} times one",
        result=f"{pairs.ratio:.2f} times ({per_second(max(pairs.subjects))})",
        yardstick=f"one mailbox, one instance: {per_second(max(pairs.yardsticks))}",
        passed=pairs.ratio >= TARGET,
        figures=pairs.figures,
    )

"""Mail that is rejected by its head or its size: its bodies are never downloaded."""

from statistics import median

from tests.benchmarks.company import token_of
from tests.benchmarks.finding import Finding
from tests.benchmarks.mix import Variation
from tests.benchmarks.stage import Stage
from tests.servers.cut import Cut, Towards

MOST_SHARE = 0.05
OVERSIZE = 16_000_000
KINDS = {
    "unknown token": Variation(token=token_of("nobody")),
    "unregistered sender": Variation(sender="stranger@elsewhere.example"),
    "plainly oversize": Variation(attachment=OVERSIZE),
}


def measure(stage: Stage) -> Finding:
    """Measure each kind alone and report the worst: beside an oversize mail all others would look small."""
    shares = {kind: _share(stage, kind, variation) for kind, variation in KINDS.items()}
    worst = max(shares.values())
    return Finding(
        row="rejected",
        what="rejected mail: bodies are not downloaded",
        target=f"≤ {MOST_SHARE:.0%} of the mailbox's octets on the wire",
        result=", ".join(f"{kind} {share:.2%}" for kind, share in shares.items()),
        yardstick="octets in both directions, counted by a proxy",
        passed=worst <= MOST_SHARE,
        figures={"shares": shares},
    )


def _share(stage: Stage, kind: str, variation: Variation) -> float:
    count = stage.effort.oversize if variation.attachment else stage.effort.rejected
    letters = stage.letters(count, kind, variation)
    octets = sum(letter.stat().st_size + letter.read_bytes().count(b"\n") for letter in letters)  # CRLF on the wire
    shares: list[float] = []
    for _ in range(stage.effort.pairs):
        url = stage.database("sqlite")
        with Cut(stage.dovecot.imap) as line:
            drained = stage.drain(letters, url, port=line.port)
            shares.append(sum(line.passed(towards) for towards in Towards) / octets)
        stage.remove_database(url)
        if drained.counts["rejected"] != count:
            raise ValueError(f"{kind}: not all were rejected: {drained.counts}")
    return median(shares)

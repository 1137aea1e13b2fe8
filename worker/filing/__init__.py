"""The rules that decide on a message, in the order in which they apply. Pure: no I/O, no clock.

The head alone can only reject a message, so that its body is not fetched. A message is accepted only as a whole, read
from its own bytes. It is judged a second time unless every deciding field is the same as in the head.
"""

from worker.filing.judging import (
    Candidate,
    Claim,
    Issued,
    Judgement,
    Rules,
    holds_for,
    judge_content,
    judge_head,
    judge_size,
    judged_before,
    message_id_of,
    quarantined,
    rejected_by_head,
    routed,
)
from worker.filing.matching import Views, file_batch, wanted

__all__ = [
    "Candidate",
    "Claim",
    "Issued",
    "Judgement",
    "Rules",
    "Views",
    "file_batch",
    "holds_for",
    "judge_content",
    "judge_head",
    "judge_size",
    "judged_before",
    "message_id_of",
    "quarantined",
    "rejected_by_head",
    "routed",
    "wanted",
]

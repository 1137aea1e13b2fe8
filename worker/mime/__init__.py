"""From the octets of a message to the domain's words: its head, its content, what its receiving server vouches for."""

from worker.mime.content import read_content, subject_of
from worker.mime.head import read_head

__all__ = ["read_content", "read_head", "subject_of"]

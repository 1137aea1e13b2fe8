"""Readers of a message: bytes in, the domain's head, content and authentication results out."""

from worker.mime.content import read_content, subject_of
from worker.mime.head import read_head

__all__ = ["read_content", "read_head", "subject_of"]

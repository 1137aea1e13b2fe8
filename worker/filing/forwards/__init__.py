"""Forwards: which mail of somebody else the owner's mail holds, by the block that a mail client wrote (R28)."""

from worker.filing.forwards.reader import Doubt, Forward, Reading, read_texts

__all__ = ["Doubt", "Forward", "Reading", "read_texts"]

"""The core's vocabulary: addresses, tokens, owners, patterns, outcomes. Standard library only, no I/O, no clock."""

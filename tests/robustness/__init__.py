"""Nothing lost, nothing twice: the worker is killed at every step, poisoned, doubled, and counted afterwards."""

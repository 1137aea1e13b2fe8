"""How fast the worker is, measured as ratios in one run: ``python -m tests.benchmarks`` (``make bench``)."""

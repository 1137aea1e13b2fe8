"""Lets `python -m worker` stand for the `bcc-dropbox` command."""

from worker.cli import main

if __name__ == "__main__":
    main()

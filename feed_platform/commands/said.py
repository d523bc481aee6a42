"""What commands say beside their result."""

import sys


def to_stderr(line: str) -> None:
    """A line beside the result, which goes to standard output."""
    sys.stderr.write(f"{line}\n")

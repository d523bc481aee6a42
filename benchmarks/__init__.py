"""Speed and scale, each against a named peer in the same run."""

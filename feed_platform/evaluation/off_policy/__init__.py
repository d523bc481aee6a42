"""What another policy would have earned on a log that it didn't write."""

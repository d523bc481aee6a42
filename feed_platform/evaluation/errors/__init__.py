"""Where a model errs: by tag, in single rows, in slices, and what more data or other features would do."""

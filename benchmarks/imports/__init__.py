"""A validated import against DuckDB's own CREATE TABLE AS of the same file."""

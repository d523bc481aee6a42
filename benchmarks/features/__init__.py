"""The feature build against a hand-written DuckDB script, Polars and Feast, on the same rows."""

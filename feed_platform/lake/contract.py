"""The tables that Python writes, and the version of that contract. dbt owns the others."""

import duckdb

from feed_platform.feed import FeedError

VERSION = 4

_PROVENANCE = "received_at TIMESTAMP, known_at TIMESTAMP, source VARCHAR"
_QUARANTINE = """quarantine_id VARCHAR, source VARCHAR, file VARCHAR, row BIGINT, reason VARCHAR,
                 record JSON, quarantined_at TIMESTAMP"""

TABLES = {
    "raw.contract": "version INTEGER, migrated_at TIMESTAMP",
    "raw.seals": "sealed_until TIMESTAMP, sealed_at TIMESTAMP",
    "raw.reopened": "known_from TIMESTAMP, reopened_at TIMESTAMP",
    "raw.users": f"user_id VARCHAR, {_PROVENANCE}",
    "raw.posts": f"""post_id VARCHAR, author_id VARCHAR, topic VARCHAR, created_at TIMESTAMP,
                     removed_at TIMESTAMP, {_PROVENANCE}""",
    "raw.impressions": f"""impression_id VARCHAR, request_id VARCHAR, surface VARCHAR, user_id VARCHAR,
                           post_id VARCHAR, shown_at TIMESTAMP, position INTEGER, propensity DOUBLE,
                           propensity_kind VARCHAR, policy VARCHAR, context JSON, {_PROVENANCE}""",
    "raw.engagements": f"""engagement_id VARCHAR, impression_id VARCHAR, user_id VARCHAR, post_id VARCHAR,
                           event_type VARCHAR, value DOUBLE, occurred_at TIMESTAMP, {_PROVENANCE}""",
    "quarantine.users": _QUARANTINE,
    "quarantine.posts": _QUARANTINE,
    "quarantine.impressions": _QUARANTINE,
    "quarantine.engagements": _QUARANTINE,
    "truth.impressions": """impression_id VARCHAR, click_probability DOUBLE, like_probability DOUBLE,
                            comment_probability DOUBLE, share_probability DOUBLE,
                            follow_probability DOUBLE, hide_probability DOUBLE,
                            report_probability DOUBLE, is_bot BOOLEAN""",
    "serving.requests": """request_id VARCHAR, user_id VARCHAR, surface VARCHAR, context JSON,
                           requested_at TIMESTAMP, policy VARCHAR, experiment VARCHAR, arm VARCHAR,
                           model_version VARCHAR, features_as_of TIMESTAMP, upserts_seen BIGINT,
                           upserts_at TIMESTAMP, served_by VARCHAR, known_at TIMESTAMP""",
    "serving.candidates": """request_id VARCHAR, post_id VARCHAR, rank INTEGER, score DOUBLE,
                             propensity DOUBLE""",
    "serving.vectors": "request_id VARCHAR, post_id VARCHAR, names VARCHAR[], vector FLOAT[]",
    "serving.segments": "file VARCHAR, imported_bytes BIGINT, torn_bytes BIGINT, imported_at TIMESTAMP",
    "features.definitions": "model VARCHAR, definition VARCHAR",
    "features.builds": "lake_version BIGINT, sealed_until TIMESTAMP, built_at TIMESTAMP",
    "training.evaluations": """model_version VARCHAR, model VARCHAR, split VARCHAR, slice VARCHAR,
                               metric VARCHAR, value DOUBLE, low DOUBLE, high DOUBLE, n BIGINT,
                               lake_version BIGINT, evaluated_at TIMESTAMP""",
    "training.promotions": """decided_at TIMESTAMP, event VARCHAR, model_version VARCHAR, kind VARCHAR,
                              champion VARCHAR, claim VARCHAR, verdict VARCHAR, reason VARCHAR,
                              attempt INTEGER, test_from TIMESTAMP, test_until TIMESTAMP,
                              lake_version BIGINT, mode VARCHAR, evidence JSON""",
    "monitoring.drift": """report_id VARCHAR, window_start TIMESTAMP, window_end TIMESTAMP, kind VARCHAR,
                           column_name VARCHAR, method VARCHAR, value DOUBLE, threshold DOUBLE,
                           is_drifted BOOLEAN, model_version VARCHAR, reported_at TIMESTAMP""",
}
DBT_SCHEMAS = ("staging", "marts")


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Create missing tables and columns in one transaction, of an older contract too; refuse a newer one."""
    found = _version(con)
    if found == VERSION:
        return
    check_contract(con)
    con.begin()
    for schema in sorted({name.split(".")[0] for name in TABLES} | set(DBT_SCHEMAS)):
        con.execute(f"create schema if not exists {schema}")
    for name, columns in TABLES.items():
        con.execute(f"create table if not exists {name} ({columns})")
        for column in columns.split(",") if found else ():
            con.execute(f"alter table {name} add column if not exists {column}")
    con.execute("insert into raw.contract values (?, now()::timestamp)", [VERSION])
    con.commit()


def check_contract(con: duckdb.DuckDBPyConnection) -> None:
    """Refuse a lake that a newer version of the platform wrote.

    Raises:
        FeedError: the lake's contract is newer than this code's.
    """
    found = _version(con)
    if found > VERSION:
        raise FeedError(
            f"the lake has contract version {found}, this release knows {VERSION}: upgrade feed-platform"
        )


def _version(con: duckdb.DuckDBPyConnection) -> int:
    """The contract that a lake was written under; 0 for an empty one."""
    try:
        row = con.execute("select max(version) from raw.contract").fetchone()
    except duckdb.CatalogException:
        return 0
    return int(row[0]) if row and row[0] is not None else 0

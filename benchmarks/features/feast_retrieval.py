"""Historical retrieval, run by the Python that has Feast: `feast_retrieval.py CONTENDER FOLDER GROUP…`."""

import json
import sys
import time
from pathlib import Path
from typing import Any


def from_feast(folder: Path, groups: list[str]) -> tuple[int, float]:
    """Rows and the sum of all features, of `get_historical_features`; the DuckDB offline store joins ASOF."""
    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Int64

    config = RepoConfig(
        project="benchmark",
        provider="local",
        registry=str(folder / "registry.db"),
        offline_store={"type": "duckdb"},
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        entity_key_serialization_version=3,
    )
    store, views = FeatureStore(config=config), []
    for group in groups:
        entity = Entity(name=group, join_keys=[f"{group}_key"], value_type=ValueType.INT64)
        source = FileSource(path=str(folder / f"{group}.parquet"), timestamp_field="event_timestamp")
        schema = [Field(name=name, dtype=Int64) for name in names_of(folder, group)]
        views.append(FeatureView(name=group, entities=[entity], schema=schema, source=source, ttl=None))
        store.apply([entity, views[-1]])
    spine = pd.read_parquet(folder / "spine.parquet")
    features = [f"{view.name}:{field.name}" for view in views for field in view.features]
    found = store.get_historical_features(entity_df=spine, features=features).to_df()
    return len(found), float(found[[name.split(":")[1] for name in features]].to_numpy("float64").sum())


def from_duckdb(folder: Path, groups: list[str]) -> tuple[int, float]:
    """The same of left joins on the same files."""
    import duckdb

    joins = " ".join(
        f"left join '{folder / group}.parquet' {group}_features using ({group}_key, event_timestamp)"
        for group in groups
    )
    found = duckdb.sql(f"select * from '{folder / 'spine.parquet'}' {joins}").df()
    names = [name for group in groups for name in names_of(folder, group)]
    return len(found), float(found[names].to_numpy("float64").sum())


def names_of(folder: Path, group: str) -> list[str]:
    """A group's feature columns."""
    from pyarrow.parquet import read_schema

    names = read_schema(folder / f"{group}.parquet").names
    return [name for name in names if name not in (f"{group}_key", "event_timestamp")]


def main(contender: str, folder: str, *groups: str) -> None:
    """Print seconds, peak memory, rows and the sum as JSON."""
    retrieve: Any = {"feast": from_feast, "duckdb": from_duckdb}[contender]
    wall, cpu = time.perf_counter(), time.process_time()
    rows, total = retrieve(Path(folder), list(groups))
    status = Path("/proc/self/status").read_text().splitlines()
    figures = {
        "seconds": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "peak_mib": next(int(one.split()[1]) for one in status if one.startswith("VmHWM")) / 1024,
        "rows": rows,
        "total": total,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

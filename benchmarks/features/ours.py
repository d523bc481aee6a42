"""The product's build: dbt in this process, on a lake that holds the same raw rows."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from benchmarks.features.clock import timed
from benchmarks.features.log import insert_days
from benchmarks.features.shape import FEED, SLICE_ROWS, VARS, day
from feed_platform.features.invocation import dbt_environment, dbt_vars, environment
from feed_platform.home import prepare_home
from feed_platform.lake import Lake
from feed_platform.settings import Settings

FEATURES = "+impression_features"
SNAPSHOT = "path:models/features/online"
NO_UNIT_TESTS = ("--exclude-resource-type", "unit_test")  # they are of the shipped definitions


def load(home: Path, first: int, end: int, rows: int) -> None:
    """Insert the raw rows of the days [first, end) into the home's lake, which is made if missing."""
    settings = Settings(home=home)
    prepare_home(settings)
    with Lake.of(settings).write("benchmark rows") as con:
        insert_days(con, "raw.", first, end, rows)


def build(home: Path, first: int, end: int, select: str, slice_rows: int = SLICE_ROWS) -> dict[str, Any]:
    """`dbt build` of the days [first, end), sealed at their end; seconds in all, by model and of tests.

    Raises:
        RuntimeError: a model or a test failed; the message is dbt's.
    """
    settings = Settings(home=home)
    run_vars = dbt_vars(FEED, day(first), day(end), day(end)) | VARS | {"slice_rows": slice_rows}
    with TemporaryDirectory() as state, environment(dbt_environment(settings) | {"DBT_TARGET_PATH": state}):
        parsed = dbtRunner().invoke(["parse", "--quiet"]).result
        assert isinstance(parsed, Manifest)
        with timed() as figures:
            built = dbtRunner(parsed).invoke(
                ["build", "--quiet", *NO_UNIT_TESTS, "--vars", json.dumps(run_vars), "--select", select]
            )
    results = list(getattr(built.result, "results", []))
    if not built.success:
        raise RuntimeError([node.message for node in results if node.status not in ("success", "pass")])
    models = {one.node.name: one.execution_time for one in results if one.node.resource_type == "model"}
    tests = sum(one.execution_time for one in results if one.node.resource_type != "model")
    return {**figures, "tests": tests, "models": models}

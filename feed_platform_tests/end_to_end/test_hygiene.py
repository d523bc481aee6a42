"""Rules that hold for the whole repository: start-up, pickle, telemetry, layers, what is committed."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from feed_platform.environment import NO_PICKLE, TELEMETRY_OFF

ROOT = Path(__file__).parents[2]
SLOW_TO_IMPORT = ("mlflow", "ray", "xgboost", "sklearn", "evidently", "matplotlib", "pandera")

LAYERS = ("lake", "interactions", "features", "learning", "evaluation", "serving", "monitoring")
SHARED = frozenset(
    {
        "environment",
        "feed",
        "home",
        "partitions",
        "processes",
        "resources",
        "settings",
        "table_metadata",
    }
)

PICKLERS = frozenset({"pickle", "_pickle", "cPickle", "cloudpickle", "joblib", "dill", "shelve", "marshal"})
PICKLING_CALLS = frozenset({"read_pickle", "to_pickle"})

REGISTRY_HOSTS = re.compile(
    rb"pypi\.org|pythonhosted\.org|anaconda\.org|npmjs\.|crates\.io|golang\.org|docker\.io|ghcr\.io|quay\.io"
    rb"|gcr\.io|extensions\.duckdb\.org|index[-]url"
)
MACHINE_PATHS = re.compile(rb"(?<![\w.$}])/(?:work|root|home|Users)/[\w.]|\b[A-Z]:\\\\?Users")


def _sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(), str(path)))


def _imported(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it; `from a import b` counts as `a.b`."""
    found = set()
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _pickling(path: Path) -> Iterator[str]:
    """What in a file pickles: an import of a pickler, a call of pandas', NumPy's leave to do so."""
    yield from (name for name in _imported(path) if name.split(".")[0] in PICKLERS)
    for call in (node for node in _nodes(path) if isinstance(node, ast.Call)):
        if isinstance(call.func, ast.Attribute) and call.func.attr in PICKLING_CALLS:
            yield call.func.attr
        for word in call.keywords:
            if word.arg == "allow_pickle" and not (
                isinstance(word.value, ast.Constant) and not word.value.value
            ):
                yield "allow_pickle"


def _fresh_python(code: str, home: Path, **variables: str) -> list[str]:
    """The words that a new interpreter prints, without any variable of the platform's."""
    ours = {*TELEMETRY_OFF, *NO_PICKLE}
    kept = {name: value for name, value in os.environ.items() if name not in ours and "FEED_" not in name}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**kept, "FEED_HOME": str(home), **variables},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def test_the_code_location_starts_without_the_slow_libraries(tmp_path: Path) -> None:
    loaded = _fresh_python("import feed_platform.definitions, sys; print(*sys.modules)", tmp_path / "none")
    assert "feed_platform.definitions" in loaded
    assert set(SLOW_TO_IMPORT) & set(loaded) == set()


def test_importing_the_package_turns_telemetry_off_and_keeps_what_a_user_set(tmp_path: Path) -> None:
    names = [*TELEMETRY_OFF, *NO_PICKLE]
    code = f"import feed_platform, os; print(*(os.environ[name] for name in {names}))"
    assert _fresh_python(code, tmp_path) == [*TELEMETRY_OFF.values(), *NO_PICKLE.values()]
    assert "chosen" in _fresh_python(code, tmp_path, DO_NOT_TRACK="chosen")


def test_no_pickle_is_loaded_or_written() -> None:
    found = {path.name: list(_pickling(path)) for path in _sources("feed_platform", "benchmarks")}
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize("layer", LAYERS)
def test_a_package_imports_only_from_those_before_it(layer: str) -> None:
    before = {*LAYERS[: LAYERS.index(layer) + 1], *SHARED}
    imported = {
        (path.name, name)
        for path in _sources(f"feed_platform/{layer}")
        for name in _imported(path)
        if name.startswith("feed_platform.")
    }
    assert {(file, name) for file, name in imported if name.split(".")[1] not in before} == set()


def test_nothing_committed_names_a_registry_or_a_place_on_a_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    contents = {str(path.relative_to(ROOT)): path.read_bytes() for path in paths}
    assert {name for name, content in contents.items() if REGISTRY_HOSTS.search(content)} == set()
    assert {name for name, content in contents.items() if MACHINE_PATHS.search(content)} == set()


def test_only_evaluation_reads_the_simulators_truth() -> None:
    """A feature or a model that read it would know what it has to find out."""
    models = (ROOT / "dbt_project").glob("m*/**/*.*")
    learners = _sources("feed_platform/features", "feed_platform/learning", "feed_platform/serving")
    assert [path.name for path in (*models, *learners) if "truth." in path.read_text()] == []

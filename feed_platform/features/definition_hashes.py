"""A hash of what each dbt model means, so that a changed meaning is built anew everywhere."""

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from feed_platform.features.project import PROJECT

RUN = frozenset({"start_day", "end_day", "seal", "slice_rows"})
VAR = re.compile(r"""var\(\s*["'](\w+)["']""")


def definition_hashes(manifest: Path, run_vars: Mapping[str, Any]) -> dict[str, str]:
    """Each model's name and the hash of its SQL, the project's macros, the vars that these use, and all
    that it is built from.

    Args:
        manifest: dbt's `manifest.json`.
        run_vars: the vars of the run, over those of the project.
    """
    found = json.loads(manifest.read_text())
    variables = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"] | dict(run_vars)
    macros = sorted(
        macro["macro_sql"] for macro in found["macros"].values() if macro["package_name"] == "feed"
    )
    models = {key: node for key, node in found["nodes"].items() if node["resource_type"] == "model"}
    hashes: dict[str, str] = {}

    def hashed(key: str) -> str:
        if key not in hashes:
            model = models[key]
            parents = [hashed(parent) for parent in model["depends_on"]["nodes"] if parent in models]
            code = [model["raw_code"], *macros]
            used = sorted({name for text in code for name in VAR.findall(text)} - RUN)
            meant = json.dumps([code, {name: variables.get(name) for name in used}, sorted(parents)])
            hashes[key] = sha256(meant.encode()).hexdigest()[:32]
        return hashes[key]

    return {node["name"]: hashed(key) for key, node in models.items()}

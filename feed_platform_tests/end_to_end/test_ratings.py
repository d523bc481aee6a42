"""The guide's commands, run as they stand, take a log of ratings to a trained model."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from feed_platform.lake import Lake
from feed_platform.settings import Settings
from feed_platform_tests.interactions.test_mapping_guide import BLOCK, GUIDE

GENRES = ("Action", "Comedy", "Crime", "Drama", "War")
USERS, FILMS, SESSIONS, RATINGS = 80, 60, 350, 12
BEGIN, DAYS = 874_724_710, 214
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_ratings_become_a_model_by_the_guide_alone(tmp_path: Path) -> None:
    blocks = {one["file"]: one["text"] for one in BLOCK.finditer(GUIDE.read_text()) if one["file"]}
    for name in ("films.user", "films.item", "films.inter"):
        header = blocks[name].splitlines()[0]
        (tmp_path / name).write_text("\n".join([header, *ROWS[name]()]) + "\n")
    (tmp_path / "films.yaml").write_text(blocks["films.yaml"])
    commands = re.search(r"^export FEED_HOME=\.feed-films.*?(?=^```)", GUIDE.read_text(), re.M | re.S)
    assert commands is not None
    run = subprocess.run(
        ["bash", "-e", "-c", commands[0].replace("source .venv/bin/activate", "")],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2_000:] + run.stderr[-2_000:]
    with Lake.of(Settings(home=tmp_path / ".feed-films")).read() as con:
        counted = con.execute("select count(*), avg(label_like) from training.examples").fetchone()
        models = con.execute("select distinct model from training.evaluations").fetchall()
    assert counted is not None and counted[0] > 0.9 * SESSIONS * RATINGS and 0.2 < counted[1] < 0.8
    assert {"popularity", "logistic"} <= {model for (model,) in models}


def _users() -> list[str]:
    return [f"{number}\t{20 + number % 50}\t{'MF'[number % 2]}\twriter\t00000" for number in range(USERS)]


def _films() -> list[str]:
    return [
        f"{number}\tFilm {number}\t{1950 + number}\t{GENRES[number % 5]} {GENRES[number % 3]}"
        for number in range(FILMS)
    ]


def _ratings() -> list[str]:
    """Sessions at random times; who likes what depends on the two numbers."""
    dice, rows = random.Random(4), []
    for _ in range(SESSIONS):
        user, at = dice.randrange(USERS), BEGIN + dice.randrange(DAYS * 86_400)
        for film in dice.sample(range(FILMS), RATINGS):
            at += dice.randrange(5, 60)
            stars = min(5, max(1, round(dice.gauss(4.2 if (user + film) % 3 else 2.5, 0.8))))
            rows.append(f"{user}\t{film}\t{stars}\t{at}")
    return rows


ROWS = {"films.user": _users, "films.item": _films, "films.inter": _ratings}

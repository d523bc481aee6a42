"""The services that ours is measured beside: `python -m benchmarks.serving.contenders KIND FOLDER PORT`.

All answer `POST /v1/rank` and `POST /v1/predict` (one row) to the bodies that ours takes.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from benchmarks.serving.world import World

HOST = "127.0.0.1"


class Rank(BaseModel):
    """As in the naive service's tutorial."""

    user_id: str
    candidate_ids: list[str]


class Row(BaseModel):
    """A pair."""

    user_id: str
    post_id: str


class Predict(BaseModel):
    """Pairs to score."""

    rows: list[Row]


class Scorer:
    """NumPy look-up and `inplace_predict`: what the plain and the Ray contender share."""

    def __init__(self, world: World) -> None:
        import xgboost

        self._users, self._places, self._posts = world.user_rows, world.post_places, world.posts
        self._booster = xgboost.Booster(model_file=str(world.model))
        self._booster.set_param({"nthread": 1})

    def scores(self, user_id: str, post_ids: list[str]) -> Any:
        """Probabilities (n,)."""
        user, places = self._users[user_id], self._places
        width = len(user)
        matrix = np.empty((len(post_ids), width + self._posts.shape[1]), dtype=np.float32)
        matrix[:, :width] = user
        matrix[:, width:] = self._posts[[places[post_id] for post_id in post_ids]]
        return self._booster.inplace_predict(matrix)

    def rank(self, user_id: str, post_ids: list[str]) -> dict[str, Any]:
        """The items, best first."""
        scores = self.scores(user_id, post_ids)
        order = np.argsort(-scores)
        ranked = scores[order].tolist()
        return {
            "items": [
                {"post_id": post_ids[place], "score": score}
                for place, score in zip(order.tolist(), ranked, strict=True)
            ]
        }

    def predict(self, rows: list[dict[str, str]]) -> dict[str, Any]:
        """One probability for each row."""
        scores = [float(self.scores(row["user_id"], [row["post_id"]])[0]) for row in rows]
        return {"predictions": scores}


def naive(world: World, port: int) -> None:
    """FastAPI, a DataFrame a request, `XGBClassifier` with its defaults, one Uvicorn worker."""
    import pandas as pd
    import uvicorn
    from fastapi import FastAPI
    from xgboost import XGBClassifier

    width = world.users.shape[1]
    users = pd.DataFrame(world.users, index=list(world.user_rows), columns=world.names[:width])
    posts = pd.DataFrame(world.posts, index=list(world.post_places), columns=world.names[width:])
    model = XGBClassifier()
    model.load_model(world.model)
    app = FastAPI()

    def scores(user_id: str, post_ids: list[str]) -> Any:
        frame = posts.loc[post_ids].assign(**users.loc[user_id])[world.names]
        return model.predict_proba(frame)[:, 1]

    @app.post("/v1/rank")
    def rank(request: Rank) -> dict[str, Any]:
        frame = pd.DataFrame(
            {"post_id": request.candidate_ids, "score": scores(request.user_id, request.candidate_ids)}
        )
        return {"items": frame.sort_values("score", ascending=False).to_dict("records")}

    @app.post("/v1/predict")
    def predict(request: Predict) -> dict[str, Any]:
        return {"predictions": [float(scores(row.user_id, [row.post_id])[0]) for row in request.rows]}

    uvicorn.run(app, host=HOST, port=port, log_level="warning")


def plain(world: World, port: int) -> None:
    """An ASGI function and nothing else: the floor without Ray, logs and propensities."""
    import orjson
    import uvicorn

    scorer = Scorer(world)
    routes: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "/v1/rank": lambda body: scorer.rank(body["user_id"], body["candidate_ids"]),
        "/v1/predict": lambda body: scorer.predict(body["rows"]),
    }

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        answer = orjson.dumps(routes[scope["path"]](orjson.loads(body)))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    uvicorn.run(app, host=HOST, port=port, log_level="critical", access_log=False, lifespan="off")


def ray_default(world: World, port: int) -> None:
    """Ray Serve with its default settings and a FastAPI ingress, the plain service's code inside."""
    import ray
    from fastapi import FastAPI
    from ray import serve

    app = FastAPI()

    @serve.deployment
    @serve.ingress(app)
    class Ranker:
        def __init__(self) -> None:
            self._scorer = Scorer(world)

        @app.post("/v1/rank")
        async def rank(self, request: Rank) -> dict[str, Any]:
            return self._scorer.rank(request.user_id, request.candidate_ids)

        @app.post("/v1/predict")
        async def predict(self, request: Predict) -> dict[str, Any]:
            return self._scorer.predict([row.model_dump() for row in request.rows])

    ray.init(
        num_cpus=4,
        include_dashboard=False,
        _node_ip_address=HOST,
        _temp_dir=f"{os.getcwd()}/r",
        object_store_memory=100_000_000,
    )
    try:
        serve.start(http_options={"host": HOST, "port": port})
        serve.run(Ranker.bind())  # type: ignore[attr-defined]
        while True:
            time.sleep(1)
    finally:
        serve.shutdown()
        ray.shutdown()


KINDS = {"naive": naive, "plain": plain, "ray": ray_default}


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    kind, folder, port = sys.argv[1:]
    KINDS[kind](World.load(Path(folder)), int(port))


if __name__ == "__main__":
    main()

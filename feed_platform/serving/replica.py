"""The Ray Serve application: one replica wraps the API of `app.py`. Ray's workers import it."""

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from feed_platform.feed import load_feed
from feed_platform.learning.quick_predict import compile_now
from feed_platform.serving import one_write, replica_settings
from feed_platform.serving.app import build_app
from feed_platform.serving.backend import Backend

if TYPE_CHECKING:
    from ray.serve import Application

MAX_ONGOING = 64
YOUNG = 10_000  # an answer makes hundreds of objects, and none of them waits for Python's collector
SWITCH_SECONDS = 0.0005  # Python's lock: a model that is being loaded holds up answers no longer than this


def build(args: dict[str, Any]) -> "Application":
    """The application for a declarative config.

    Args:
        args: `home`, the feed's folder; `replicas`; `revision`, whose change makes Serve restart
            the replicas on new code or settings.
    """
    from ray import serve

    deployment = serve.deployment(
        name=replica_settings.DEPLOYMENT,
        num_replicas=args["replicas"],
        max_ongoing_requests=MAX_ONGOING,
        health_check_period_s=1,
        graceful_shutdown_timeout_s=5,
        ray_actor_options={"num_cpus": 0.1},
    )
    return deployment(serve.ingress()(Ranker)).bind(args["home"])


class Ranker:
    """One replica."""

    def __init__(self, home: str) -> None:
        keep_off_the_network()
        one_write.install()
        compile_now()
        settings = replica_settings.load(Path(home))
        self._backend = Backend.open(settings, load_feed(settings))
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.collect()
        gc.freeze()  # what stands for good is not walked again while a request waits
        gc.set_threshold(YOUNG)

    def __serve_build_asgi_app__(self) -> FastAPI:
        return build_app(self._backend)

    def __del__(self) -> None:
        self._backend.close()


def keep_off_the_network() -> None:
    """Bind the replica's gRPC server to loopback: Ray says `[::]`, and has no setting for it."""
    from ray.serve._private import replica

    bind = replica.add_port_to_grpc_server

    def bind_to_loopback(server: Any, address: str) -> Any:
        return bind(server, address.replace("[::]", "127.0.0.1"))

    replica.add_port_to_grpc_server = bind_to_loopback

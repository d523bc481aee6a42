"""How the home's block of 100 ports is divided between Ray, HAProxy and the API."""

from enum import IntEnum


class Port(IntEnum):
    """Offset from the home's port base of each listener."""

    HTTP = 0
    GCS = 1
    DASHBOARD = 2
    AGENT = 3
    AGENT_GRPC = 4
    CLIENT = 5
    RUNTIME_ENV_AGENT = 6
    NODE_MANAGER = 7
    OBJECT_MANAGER = 8
    METRICS_EXPORT = 9
    HAPROXY_STATS = 10
    HAPROXY_METRICS = 11
    FALLBACK_HTTP = 12
    FALLBACK_GRPC = 13
    AUTOSCALER_METRICS = 14
    DASHBOARD_METRICS = 15


REPLICA_HTTP = range(20, 40)
REPLICA_GRPC = range(40, 50)
WORKERS = range(50, 100)
# Those that must be free. Of the ranges Ray takes what it finds: a replica's port stays taken for
# a minute after it has ended (TIME_WAIT), which is no other program's doing.
FIXED = tuple(map(int, Port))

"""The API as a Postman collection (v2.1): `python -m feed_platform.serving.postman > docs/postman.json`."""

import json
import sys
from typing import Any

from feed_platform.serving import operations
from feed_platform.serving.operations import Operation

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
BASE_URL = "http://127.0.0.1:8000"
JSON_TYPE = {"key": "Content-Type", "value": "application/json"}


def collection() -> dict[str, Any]:
    """Every operation with its example; `base_url` and `token` are variables."""
    return {
        "info": {"name": "Feed platform: ranking", "schema": SCHEMA},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "variable": [{"key": "base_url", "value": BASE_URL}, {"key": "token", "value": ""}],
        "item": [_item(operation) for operation in operations.ALL],
    }


def _item(operation: Operation) -> dict[str, Any]:
    request: dict[str, Any] = {
        "method": operation.method,
        "url": "{{base_url}}" + operation.target,
        "description": operation.summary,
        "header": [],
    }
    if operation.body is not None:
        request["header"] = [JSON_TYPE]
        raw = json.dumps(operation.body, indent=2)
        request["body"] = {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}
    return {"name": f"{operation.method} {operation.path}", "request": request}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(collection(), indent=1) + "\n")

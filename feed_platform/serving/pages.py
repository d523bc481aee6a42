"""The service's own pages: rendered here, nothing loaded from elsewhere."""

import json
import shlex
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, select_autoescape

from feed_platform.serving import operations
from feed_platform.serving.operations import Operation

JSON = "-H 'Content-Type: application/json'"
_LIMITS = (
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("minimum", "from {}"),
    ("maximum", "to {}"),
)


def docs(title: str, base_url: str) -> str:
    """The API's documentation with examples as curl lines for `base_url`."""
    return _template("docs.html").render(
        title=title,
        operations=[_operation(operation, base_url) for operation in operations.ALL],
        schemas={name: _schema(schema) for name, schema in operations.components().items()},
    )


def index(title: str, model: str | None, as_of: str | None, report: bool) -> str:
    """The first page: what is served, and where to go on."""
    return _template("index.html").render(title=title, model=model, as_of=as_of, report=report)


@cache
def _template(name: str) -> Any:
    folder = FileSystemLoader(Path(__file__).with_name("pages"))
    return Environment(loader=folder, autoescape=select_autoescape(["html"]), trim_blocks=True).get_template(
        name
    )


def _operation(operation: Operation, base_url: str) -> dict[str, Any]:
    url = f"{base_url.rstrip('/')}{operation.target}"
    body = f" {JSON} -d {shlex.quote(json.dumps(operation.body))}" if operation.body else ""
    return {
        "method": operation.method,
        "path": operation.path,
        "summary": operation.summary,
        "curl": f"curl {shlex.quote(url)}{body}",
        "takes": operation.takes.__name__ if operation.takes else None,
        "answer": operation.answer.__name__ if operation.answer else None,
        "errors": operation.errors,
    }


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    required = schema.get("required", ())
    rows = [
        {
            "name": name,
            "type": _type(field),
            "needed": "yes" if name in required else f"no ({json.dumps(field.get('default'))})",
            "meaning": _meaning(field),
        }
        for name, field in schema.get("properties", {}).items()
    ]
    return {"description": schema.get("description", ""), "rows": rows}


def _type(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """A schema's type as text with links to other schemas."""
    if "$ref" in schema:
        return [{"text": schema["$ref"].removeprefix(operations.PREFIX), "link": True}]
    if "anyOf" in schema:
        joined = [[*_type(option), {"text": " or "}] for option in schema["anyOf"]]
        return [part for option in joined for part in option][:-1]
    if schema.get("type") == "array":
        return [{"text": "list of "}, *_type(schema["items"])]
    if "enum" in schema:
        return [{"text": ", ".join(map(json.dumps, schema["enum"]))}]
    return [{"text": schema.get("format") or schema.get("type", "any")}]


def _meaning(schema: dict[str, Any]) -> str:
    parts = [schema, *schema.get("anyOf", ()), schema.get("items", {})]
    texts = [part["description"] for part in parts if "description" in part]
    limits = [text.format(part[key]) for part in parts for key, text in _LIMITS if key in part]
    return " ".join([*texts, "; ".join(limits)]).strip()

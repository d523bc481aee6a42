"""The service's own pages: rendered here, nothing loaded from elsewhere."""

import json
import re
import shlex
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
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


@dataclass(frozen=True)
class Page:
    """A page as it lies on the disk, and its headers."""

    html: str
    headers: dict[str, str]


@cache
def explorer() -> Page:
    """The page at `/`: the same for everybody, its script asks for all data."""
    html = (Path(__file__).with_name("pages") / "index.html").read_text("utf-8")
    policy = (
        f"default-src 'none'; script-src {_hashes(html, 'script')}; style-src {_hashes(html, 'style')}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(
        html,
        {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        },
    )


def _hashes(html: str, tag: str) -> str:
    """What a Content-Security-Policy must allow for a page's own elements of a kind."""
    found = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    return " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in found)


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

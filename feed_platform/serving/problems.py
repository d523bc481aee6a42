"""Errors as RFC 9457 problem details that name the field."""

import re
from http import HTTPStatus
from typing import TypeVar

import msgspec
from starlette.responses import Response

from feed_platform.serving.schemas import FieldError, ProblemDetails

MEDIA_TYPE = "application/problem+json"
_PATH = re.compile(r" - at `\$(?P<path>.*)`$", re.DOTALL)
_NAMED = re.compile(r"(?:unknown|missing required) field `(?P<name>.*?)`", re.DOTALL)
_STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>\d+)\]")

T = TypeVar("T")


class Problem(Exception):
    """An error that becomes the answer."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        errors: list[FieldError] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.details = ProblemDetails(
            title=status.phrase, status=int(status), detail=detail, errors=errors or []
        )
        self.headers = headers

    def response(self) -> Response:
        """The HTTP answer."""
        body = msgspec.json.encode(self.details)
        return Response(body, self.details.status, self.headers, media_type=MEDIA_TYPE)


def parse(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode a request's body.

    Raises:
        Problem: 400 where it isn't JSON, 422 where a field is wrong; names the field.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the request is not valid", [fault(error)]) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error


def fault(error: msgspec.ValidationError) -> FieldError:
    """msgspec's message, its path as a JSON pointer.

    Example:
        >>> fault(msgspec.ValidationError("Expected `str`, got `int` - at `$.candidate_ids[2]`"))
        FieldError(detail='Expected `str`, got `int`', pointer='/candidate_ids/2')
        >>> fault(msgspec.ValidationError("Object missing required field `user_id`")).pointer
        '/user_id'
    """
    message = str(error)
    at, named = _PATH.search(message), _NAMED.search(message)
    steps = [step["name"] or step["index"] for step in _STEP.finditer(at["path"])] if at else []
    if named:
        steps.append(named["name"].replace("~", "~0").replace("/", "~1"))
    return FieldError(_PATH.sub("", message), "".join(f"/{step}" for step in steps))

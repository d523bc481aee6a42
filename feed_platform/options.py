"""Command-line options that mirror a model's fields: one for each, with its type, default and description."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_origin

import typer
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from feed_platform.feed import FeedError


def mirroring(
    model: type[BaseModel], *, without: tuple[str, ...] = ()
) -> Callable[[Callable[..., None]], Any]:
    """Decorate a Typer command whose first parameter is a `model`: its fields become options.

    A tuple of models is an option that may be given several times, as text that the model reads.

    Raises:
        FeedError: (by the command) options that the model refuses; names the option and why.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        fields = {name: field for name, field in model.model_fields.items() if name not in without}
        own = list(inspect.signature(command).parameters.values())[1:]
        options = [_option(name, field) for name, field in fields.items()]

        def run(**given: Any) -> None:
            chosen = {name: given.pop(name) for name in fields}
            command(_validated(model, chosen), **given)

        run.__name__, run.__doc__ = command.__name__, command.__doc__
        parameters = [*(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own), *options]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def _option(name: str, field: FieldInfo) -> inspect.Parameter:
    is_many = get_origin(field.annotation) is tuple
    kind = list[str] if is_many else field.annotation
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=list(field.default) if is_many else field.default,
        annotation=Annotated[kind, typer.Option(help=field.description)],
    )


def _validated(model: type[BaseModel], chosen: dict[str, Any]) -> BaseModel:
    try:
        return model.model_validate(chosen)
    except ValidationError as error:
        first = error.errors()[0]
        option = f"--{str(first['loc'][0]).replace('_', '-')}: " if first["loc"] else ""
        raise FeedError(f"{option}{first['msg'].removeprefix('Value error, ')}") from error

"""Changes of posts and users: what clients may say, and what a replica has taken in since its snapshot."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from feed_platform.features.changes import TIMES, Change, Owner
from feed_platform.feed import AttributeKind, Feed
from feed_platform.interactions.upsert_log import UpsertRecord, UpsertTail
from feed_platform.serving.feedback import CLOCK_SKEW, utc
from feed_platform.serving.problems import Problem
from feed_platform.serving.schemas import Body, FieldError, PostUpsert, UserUpsert

MAX_PENDING = 100_000
KEPT = timedelta(days=1)
OWNERS: dict[str, Owner] = {"posts": "posts", "users": "users"}
KEYS: dict[Owner, str] = {"posts": "post_id", "users": "user_id"}
Word = Annotated[str, Meta(max_length=256)]
Words = Annotated[list[Word], Meta(max_length=64)]
Number = float
TYPES: dict[AttributeKind, Any] = {"category": Word, "number": Number, "list": Words}
MAX_UPSERTS = 1_000

log = logging.getLogger(__name__)


def decoder(feed: Feed, owner: Owner) -> msgspec.json.Decoder[Any]:
    """Reads a request's body `{"posts": [...]}` or `{"users": [...]}`, declared attributes included."""
    base: type[msgspec.Struct] = PostUpsert if owner == "posts" else UserUpsert
    kinds = feed.attributes.posts if owner == "posts" else feed.attributes.users
    fields = [
        (f"attribute_{number}", TYPES[kind] | None | UnsetType, UNSET)
        for number, kind in enumerate(kinds.values())
    ]
    renamed = {f"attribute_{number}": name for number, name in enumerate(kinds)}
    entity: Any = msgspec.defstruct(
        base.__name__, fields, bases=(base,), rename=renamed, kw_only=True, forbid_unknown_fields=True
    )
    entities = Annotated[list[entity], Meta(min_length=1, max_length=MAX_UPSERTS)]
    return msgspec.json.Decoder(msgspec.defstruct("Upserts", [(owner, entities)], bases=(Body,)))


def said(body: Any, owner: Owner, now: datetime) -> list[tuple[str, Mapping[str, Any]]]:
    """Each entity's id and the fields that it names, instants in UTC, naive.

    Raises:
        Problem: 422, a post was created in the future.
    """
    entities = [msgspec.structs.asdict(one) | _renamed(one) for one in getattr(body, owner)]
    changes: list[tuple[str, Mapping[str, Any]]] = []
    for place, entity in enumerate(entities):
        fields = {name: value for name, value in entity.items() if value is not UNSET}
        entity_id = fields.pop(KEYS[owner])
        for name in TIMES & fields.keys():
            fields[name] = utc(fields[name]) if fields[name] is not None else None
        if (fields.get("created_at") or now) > now + CLOCK_SKEW:
            fault = FieldError("lies more than an hour in the future", f"/{owner}/{place}/created_at")
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the request is not valid", [fault])
        changes.append((entity_id, fields))
    return changes


@dataclass
class Changes:
    """What was said since a snapshot's hour, in order; read from the home's log. Of one thread at a time."""

    folder: Path
    pending: list[Change] = field(default_factory=list)
    _tail: UpsertTail = field(init=False)

    def __post_init__(self) -> None:
        self._tail = UpsertTail(self.folder)

    @property
    def is_full(self) -> bool:
        """Whether so much waits for the next snapshot that no more is taken."""
        return len(self.pending) >= MAX_PENDING

    def read(self) -> list[Change]:
        """What is new in the log."""
        fresh = [change for record in self._tail.read() if (change := _change(record))]
        self.pending += fresh
        return fresh

    def since(self, as_of: datetime) -> Sequence[Change]:
        """What a snapshot doesn't hold. What is a day older is forgotten: an older snapshot may come back."""
        self.pending = [change for change in self.pending if change.received_at >= as_of - KEPT]
        return [change for change in self.pending if change.received_at >= as_of]


def _change(record: UpsertRecord) -> Change | None:
    if record.owner not in OWNERS:
        log.warning("upsert %d: unknown owner %s", record.number, record.owner)
        return None
    times = {
        name: datetime.fromisoformat(record.fields[name])
        for name in TIMES & record.fields.keys()
        if record.fields[name] is not None
    }
    owner = OWNERS[record.owner]
    return Change(record.number, owner, record.entity_id, record.received_at, record.fields | times)


def _renamed(entity: msgspec.Struct) -> dict[str, Any]:
    """Attributes under their own names; the places that hold them are nobody's."""
    places = zip(entity.__struct_fields__, entity.__struct_encode_fields__, strict=True)
    moved = {place: name for place, name in places if place != name}
    return {name: getattr(entity, place) for place, name in moved.items()} | dict.fromkeys(moved, UNSET)

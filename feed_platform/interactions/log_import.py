"""The service's logs into the lake: requests, candidates, vectors, and feedback as raw rows.

Exactly once: how far each segment is imported is committed with its rows, and rows are told
apart by request_id, by (request_id, post_id) and by event_id, so that reading bytes again
changes nothing either.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import duckdb

from feed_platform.feed import Feed
from feed_platform.interactions.batch import Batch, Counts
from feed_platform.interactions.ingest import ingest_into
from feed_platform.interactions.log_frames import answer_frames, event_frame
from feed_platform.interactions.log_tails import keep_offsets, read_tails
from feed_platform.interactions.records import decode_feedback, decode_request
from feed_platform.interactions.upsert_import import import_upserts
from feed_platform.interactions.upsert_log import decode_upsert
from feed_platform.lake import seal
from feed_platform.lake.erased import suppression
from feed_platform.settings import Settings

SOURCE = "service"
LOGGED_WITHIN = timedelta(seconds=1)

# The first answer to a request counts, and only if no earlier import has one.
NEW_REQUESTS = """
create or replace temp table log_requests as
from log_answers anti join serving.requests using (request_id)
qualify row_number() over (partition by request_id order by received_at, file, byte) = 1
"""
REPEATED = """
create or replace temp table log_repeated as
select answer, request_id from log_answers anti join log_requests using (answer)
"""
INSERT_REQUESTS = """
insert into serving.requests by name
select request_id, user_id, surface, context::json as context, requested_at, policy, experiment, arm,
       model_version, features_as_of, upserts_seen, upserts_at, served_by,
       greatest(requested_at, received_at, $seal) as known_at
from log_requests
"""
INSERT_CANDIDATES = """
insert into serving.candidates by name
select request_id, post_id, rank, score, propensity
from log_requests join log_candidates using (answer) order by request_id, rank
"""
INSERT_VECTORS = """
insert into serving.vectors by name
select request_id, post_id, names, vector
from log_requests join log_vectors using (answer) order by request_id
"""
# Of two answers to one request nobody knows which one was shown: where they differ, neither's
# propensity holds.
DROP_DOUBTFUL = """
update serving.candidates set propensity = null
where request_id in (
    select request_id from (
        select request_id, post_id, rank, propensity from log_repeated join log_candidates using (answer)
        except
        select request_id, post_id, rank, propensity
        from serving.candidates semi join log_repeated using (request_id)
    )
)
"""
IMPRESSION_ID = "md5({0}.request_id || chr(31) || {0}.post_id)"
IMPRESSION = f"""
select {IMPRESSION_ID.format("e")} as impression_id, e.request_id, coalesce(r.surface, 'home') as surface,
       coalesce(e.user_id, r.user_id) as user_id, e.post_id, e.shown_at, e.position, c.propensity,
       if(c.propensity is null, null, 'conditional') as propensity_kind, r.policy,
       r.context::varchar as context, e.received_at, e.file as _file, e.byte as _row
from log_shown e
left join serving.requests r on r.request_id = e.request_id
left join serving.candidates c on c.request_id = e.request_id and c.post_id = e.post_id
anti join raw.impressions i on i.impression_id = {IMPRESSION_ID.format("e")}
qualify row_number() over (
    partition by coalesce({IMPRESSION_ID.format("e")}, e.file || ':' || e.byte)
    order by e.received_at, e.file, e.byte
) = 1
"""
REPORTED = """
create or replace temp view log_shown as
select request_id, user_id, post_id, occurred_at as shown_at, position, received_at, file, byte
from log_events where event_type = 'impression'
"""
SERVED = """
create or replace temp view log_shown as
select request_id, user_id, post_id, requested_at as shown_at, rank as position, received_at, file, byte
from log_requests join log_candidates using (answer) where rank <= shown
"""
# An event that a client sent twice, because it saw no answer, is one event.
ENGAGEMENTS = f"""
select e.event_id as engagement_id, {IMPRESSION_ID.format("e")} as impression_id,
       coalesce(e.user_id, r.user_id) as user_id, e.post_id, e.event_type, e.value, e.occurred_at,
       e.received_at, e.file as _file, e.byte as _row
from log_events e left join serving.requests r using (request_id)
where e.event_type <> 'impression'
qualify row_number() over (
    partition by e.event_id, e.event_type, e.user_id, e.request_id, e.post_id, e.occurred_at, e.value
    order by e.received_at, e.file, e.byte
) = 1
"""


@dataclass(frozen=True)
class LogCounts:
    """What an import of the logs did.

    Attributes:
        requests: answers whose request_id was new.
        repeated: further answers to a request known already.
        feedback: what became of the events, impressions included.
        torn_bytes: bytes at the ends of segments that are no whole record (yet).
        damaged_bytes: bytes between whole records that were passed over.
        unreadable: records that were not understood; they stay in their segment.
        waited_seconds: how long the oldest of the new records had waited for this import.
        newest: when the newest of them was received; None where nothing was new.
        upserts: what became of the changes of posts and users.
    """

    requests: int
    repeated: int
    feedback: Counts
    torn_bytes: int
    damaged_bytes: int
    unreadable: int
    waited_seconds: float
    newest: datetime | None
    upserts: Counts = field(default_factory=Counts)


def import_logs(
    con: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed, imported_at: datetime
) -> LogCounts:
    """Import what the service has logged since the last time, inside the caller's write transaction.

    Of several answers to one request_id the first received counts; where another one differs,
    the propensity is dropped from the candidates and from impressions imported from then on.
    Records of people who were erased are passed over.
    """
    # Feedback is read first: the requests that it speaks of are on the disk a moment after their answers.
    events, feedback_tails = read_tails(con, settings, "feedback", decode_feedback)
    _wait_for_requests(max((event.record.received_at for event in events), default=None))
    answers, request_tails = read_tails(con, settings, "requests", decode_request)
    changes, upsert_tails = read_tails(con, settings, "upserts", decode_upsert)
    tails = feedback_tails + request_tails + upsert_tails
    received = sorted(
        [event.record.received_at for event in events] + [answer.record.received_at for answer in answers]
    )
    erased = suppression(con)
    upserts = import_upserts(con, feed, changes, erased, imported_at)
    events = [logged for logged in events if logged.record.user_id not in erased]
    answers = [logged for logged in answers if logged.record.user_id not in erased]
    repeated, feedback = 0, Counts()
    if answers or events:
        for name, frame in {**answer_frames(answers), "log_events": event_frame(events)}.items():
            con.register(name, frame)
        repeated = _import_requests(con, feed)
        batch = _raw_rows(con, settings)
        feedback = ingest_into(con, feed, [batch], mode="live", source=SOURCE, imported_at=imported_at)
    keep_offsets(con, tails, imported_at)
    return LogCounts(
        requests=len(answers) - repeated,
        repeated=repeated,
        feedback=feedback,
        torn_bytes=sum(tail.torn_bytes for tail in tails),
        damaged_bytes=sum(tail.damaged_bytes for tail in tails),
        unreadable=sum(tail.unreadable for tail in tails),
        waited_seconds=(imported_at - received[0]).total_seconds() if received else 0.0,
        newest=received[-1] if received else None,
        upserts=upserts,
    )


def _wait_for_requests(newest: datetime | None) -> None:
    """Return when what was answered before the newest feedback is logged."""
    if newest is not None:
        rest = newest + LOGGED_WITHIN - datetime.now(UTC).replace(tzinfo=None)
        time.sleep(min(max(rest, timedelta(0)), LOGGED_WITHIN).total_seconds())


def _import_requests(con: duckdb.DuckDBPyConnection, feed: Feed) -> int:
    """Bring new requests in with their candidates and vectors; how many answers were no first ones."""
    con.execute(NEW_REQUESTS)
    con.execute(REPEATED)
    con.execute(INSERT_REQUESTS, {"seal": seal(con, feed)})
    con.execute(INSERT_CANDIDATES)
    con.execute(INSERT_VECTORS)
    repeated = len(con.sql("from log_repeated"))
    if repeated:
        con.execute(DROP_DOUBTFUL)
    return repeated


def _raw_rows(con: duckdb.DuckDBPyConnection, settings: Settings) -> Batch:
    con.execute(SERVED if settings.impressions == "served" else REPORTED)
    return Batch(impressions=con.sql(IMPRESSION).pl(), engagements=con.sql(ENGAGEMENTS).pl())

{% set groups = ["global"] + var("groups") %}

with impressions as (
    select known_at, user_id, user_key, post_key, 'impression' as event_type, cast(null as double) as value
    from {{ ref("stg_impressions") }}
    where {{ in_run_days("known_day") }}
),

engagements as (
    select known_at, user_id, user_key, post_key, event_type, value
    from {{ ref("stg_engagements") }}
    where {{ in_run_days("known_day") }}
),

posts as (
    select post_key, topic, known_at from {{ ref("stg_posts") }}
),

events as (
    select * from impressions
    union all
    select * from engagements
),

-- An event counts for the topic that its post had when the event was known.
keyed_events as (
    select
        events.event_type,
        events.value,
        date_trunc('hour', events.known_at) as known_hour,
        cast(1 as ubigint) as global_key,
        events.user_key,
        events.post_key,
        {{ entity_key("posts.topic") }} as topic_key,
        {{ user_topic_key("events.user_id", "posts.topic") }} as user_topic_key
    from events
    asof left join posts on events.post_key = posts.post_key and events.known_at >= posts.known_at
),

sums as (
    {%- for group in groups %}
    select
        '{{ group }}' as entity_group,
        {{ group }}_key as entity_key,
        known_hour,
        {{- measure_events() }}
    from keyed_events
    where {{ group }}_key <> 0
    group by {{ group }}_key, known_hour
    {{ "union all" if not loop.last }}
    {%- endfor %}
)

select
    entity_group,
    entity_key,
    cast(known_hour as date) as known_day,
    known_hour,
    {{ measures() | join(",\n    ") }}
from sums

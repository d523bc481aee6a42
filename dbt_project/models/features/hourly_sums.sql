{% set groups = ["global"] + (var("windows").keys() | list) %}

with impressions as (
    select known_at, user_key, post_key, 'impression' as event_type, cast(null as double) as value
    from {{ ref("stg_impressions") }}
    where {{ in_run_days("known_day") }}
),

engagements as (
    select known_at, user_key, post_key, event_type, value
    from {{ ref("stg_engagements") }}
    where {{ in_run_days("known_day") }}
),

posts as (
    select post_key, author_key, topic_key, known_at from {{ ref("stg_posts") }}
),

events as (
    select * from impressions
    union all
    select * from engagements
),

-- An event counts for the author and the topic that its post had when the event was known.
keyed_events as (
    select
        events.event_type,
        events.value,
        date_trunc('hour', events.known_at) as known_hour,
        cast(1 as ubigint) as global_key,
        {{ group_keys("events", "posts") }}
    from events
    asof left join posts on events.post_key = posts.post_key and events.known_at >= posts.known_at
)

{% for group in groups %}
select
    '{{ group }}' as entity_group,
    {{ group }}_key as entity_key,
    cast(known_hour as date) as known_day,
    {{- measured() }}
    known_hour
from keyed_events
where {{ group }}_key <> 0
group by {{ group }}_key, known_hour
{{ "union all" if not loop.last }}
{% endfor %}

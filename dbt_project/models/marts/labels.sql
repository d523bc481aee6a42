{{ config(day="matured_day") }}

{% set window = "interval " ~ var("label_window_seconds") ~ " second" %}
{% set delay = "interval " ~ var("label_delay_seconds") ~ " second" %}
{% set maturing_days = (var("label_window_seconds") + var("label_delay_seconds")) // 86400 + 1 %}

with known_impressions as (
    select
        impression_id,
        user_key,
        post_key,
        shown_at,
        greatest(shown_at + {{ window }}, known_at) + {{ delay }} as matured_at
    from {{ ref("stg_impressions") }}
    where
        known_at >= date '{{ var("start_day") }}' - {{ maturing_days }}
        and known_at < date '{{ var("end_day") }}'
        and {{ is_somebodys("impression_id") }}
),

matured_impressions as (
    select *, cast(matured_at as date) as matured_day
    from known_impressions
    where {{ in_run_days("cast(matured_at as date)") }} and matured_at <= {{ seal() }}
),

-- Nothing is known before it happens, so what follows an impression became known after it was shown.
impressions as (
    select impression_id, user_key, post_key, shown_at, known_at
    from {{ ref("stg_impressions") }}
    where known_at >= (select min(shown_at) from matured_impressions)
),

engagements as (
    select impression_id, user_key, post_key, event_type, occurred_at, known_at
    from {{ ref("stg_engagements") }}
    where known_at >= (select min(shown_at) from matured_impressions)
),

attributed_by_id as (
    select matured_impressions.impression_id, engagements.event_type
    from matured_impressions
    inner join engagements using (impression_id)
    where
        engagements.occurred_at >= shown_at
        and engagements.occurred_at < shown_at + {{ window }}
        and engagements.known_at < matured_at
),

-- Without an id an engagement belongs to the user's latest impression of that post before it, among
-- those known when the label matures: what comes to light later must not change a written label.
attributed_by_time as (
    select earlier.impression_id, engagements.event_type
    from matured_impressions as earlier
    inner join engagements
        on earlier.user_key = engagements.user_key and earlier.post_key = engagements.post_key
    where
        engagements.impression_id is null
        and earlier.user_key <> 0
        and engagements.occurred_at >= earlier.shown_at
        and engagements.occurred_at < earlier.shown_at + {{ window }}
        and engagements.known_at < earlier.matured_at
        and not exists (
            select 1
            from impressions as later
            where
                later.user_key = earlier.user_key
                and later.post_key = earlier.post_key
                and (later.shown_at, later.impression_id) > (earlier.shown_at, earlier.impression_id)
                and later.shown_at <= engagements.occurred_at
                and later.known_at < earlier.matured_at
        )
),

outcomes as (
    select
        impression_id,
        {%- for event_type in var("event_types") %}
        cast(bool_or(event_type = '{{ event_type }}') as integer) as label_{{ event_type }}{{ "," if not loop.last }}
        {%- endfor %}
    from (
        select * from attributed_by_id
        union all
        select * from attributed_by_time
    )
    group by impression_id
)

select
    matured_impressions.impression_id,
    {%- for event_type in var("event_types") %}
    coalesce(outcomes.label_{{ event_type }}, 0) as label_{{ event_type }},
    {%- endfor %}
    matured_impressions.matured_day,
    matured_impressions.shown_at,
    matured_impressions.matured_at
from matured_impressions
left join outcomes using (impression_id)

{# The days back from as_of's day on which a window can begin or end, which are summed by the hour. #}
{% macro edge_days() -%}
    {%- set days = [0] -%}
    {%- for hours in var("windows").values() -%}
        {%- do days.extend([hours // 24, (hours + 23) // 24]) -%}
    {%- endfor -%}
    {{ return(days | unique | sort) }}
{%- endmacro %}

{# How many days back the longest window reaches. #}
{% macro reach_days() -%}
    {{ return(edge_days() | last) }}
{%- endmacro %}

{# Every measure over every window [as_of - window, as_of) for each row of the relation `spine`
   (known_day, entity_key, as_of): `<measure>_<window>`, 0 where nothing happened. Windows end at
   as_of and not at the entity's last event, so they decay when it falls silent. Whole days come
   from daily_sums, the days at a window's edges from hourly_sums; both are met by (key, day), never
   by time alone, so the work grows with the spine. #}
{% macro window_sums(group, spine) %}
    with days_back as (
        select {{ spine }}.*, days_back, cast(as_of as date) - days_back as day_back
        from {{ spine }}, (select cast(unnest(range({{ reach_days() + 1 }})) as integer) as days_back)
    ),

    pieces as (
        select days_back.known_day, days_back.entity_key, as_of, known_hour as starts_at,
            {{ measures() | join(", ") }}
        from days_back
        inner join {{ ref("hourly_sums") }} as sums
            on sums.entity_key = days_back.entity_key and sums.known_day = days_back.day_back
        where entity_group = '{{ group }}' and days_back in ({{ edge_days() | join(", ") }})
            and known_hour < as_of
        union all
        select days_back.known_day, days_back.entity_key, as_of, cast(sums.known_day as timestamp) as starts_at,
            {{ measures() | join(", ") }}
        from days_back
        inner join {{ ref("daily_sums") }} as sums
            on sums.entity_key = days_back.entity_key and sums.known_day = days_back.day_back
        where entity_group = '{{ group }}' and days_back not in ({{ edge_days() | join(", ") }})
    )

    select
        known_day,
        entity_key,
        as_of,
        {%- for window, hours in var("windows").items() %}
            {%- set is_last_window = loop.last %}
            {%- for measure in measures() %}
        cast(coalesce(sum({{ measure }}) filter (where starts_at >= as_of - interval {{ hours }} hour), 0) as bigint)
            as {{ measure }}_{{ window }}{{ "," if not (is_last_window and loop.last) }}
            {%- endfor %}
        {%- endfor %}
    from {{ spine }}
    left join pieces using (known_day, entity_key, as_of)
    group by known_day, entity_key, as_of
{% endmacro %}

{# A group's features for each (day, entity, hour) that an impression of the run's days needs. #}
{% macro entity_features(group) %}
with spine as (
    select distinct known_day, {{ group }}_key as entity_key, as_of
    from {{ ref("impression_spine") }}
    where {{ in_run_days("known_day") }}
),

global_rates as (
    select known_day, as_of, global_ctr from {{ ref("global_rates") }} where {{ in_run_days("known_day") }}
),

sums as (
    {{ window_sums(group, "spine") }}
)

select
    known_day,
    entity_key as {{ group }}_key,
    as_of,
    {{- feature_columns(group) }}
from sums
left join global_rates using (known_day, as_of)
{% endmacro %}

{# The spine of the online tables: who was active in the longest window before the seal, and key 0,
   whose row is everyone else's. #}
{% macro online_spine(group) %}
    select distinct cast({{ seal() }} as date) as known_day, entity_key, {{ seal() }} as as_of
    from {{ ref("hourly_sums") }}
    where entity_group = '{{ group }}' and known_day >= cast({{ seal() }} as date) - {{ reach_days() }}
    union
    select cast({{ seal() }} as date), cast(0 as ubigint), {{ seal() }}
{% endmacro %}

{# A group's features as of the seal. #}
{% macro online_features(group) %}
with spine as (
    {{- online_spine(group) }}
),

global_rates as (
    select global_ctr from {{ ref("online_global") }}
),

sums as (
    {{ window_sums(group, "spine") }}
)

select
    entity_key as {{ group }}_key,
    as_of,
    {{- feature_columns(group) }}
from sums
cross join global_rates
{% endmacro %}

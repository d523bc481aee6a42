{# How many days back a group's longest window reaches. #}
{% macro reach_days(group) -%}
    {{ return(((windows_of(group).values() | max) + 23) // 24) }}
{%- endmacro %}

{# Before a group's features: the first day that a window of the run reaches, as a constant by which
   the lake leaves older files alone. #}
{% macro note_first_day_reached() -%}
    set variable first_day_reached = (
        select cast(min(as_of) as date) - {{ ((var("window_hours").values() | max) + 23) // 24 }}
        from {{ ref("impression_spine") }}
        where {{ in_run_days("known_day") }}
    )
{%- endmacro %}

{# Every measure over every window [as_of - window, as_of) for each row of the relation `spine`
   (known_day, entity_key, hour: as_of's): `<measure>_<window>`, 0 where nothing happened, and
   `last_<event>`, the hour in which it was last known. Windows end at as_of and not at the entity's
   last event, so they decay when it falls silent.

   Sums and spine lie on one timeline of hours; a window is a range frame on it, so the work grows
   with both and not with the windows. Over a few days most hours are the start or the end of no
   window: what lies between two such hours is added up first, which changes no window's sum. #}
{% macro window_sums(group) %}
    {%- set is_short = run_days() <= 3 -%}
    sums as (
        select
            entity_key,
            {{ hour_number("known_hour") }} as hour,
            {{ measures() | join(", ") }}
            {%- for event, measure in recency().items() %},
            case when {{ measure }} > 0 then {{ hour_number("known_hour") }} end as last_{{ event }}
            {%- endfor %}
        from {{ ref("hourly_sums") }}
        where
            entity_group = '{{ group }}'
            and known_day >= coalesce(getvariable('first_day_reached'), date '1970-01-01')
            and known_day < date '{{ var("end_day") }}'
    ),

    {% if is_short -%}
    cuts as (
        select distinct unnest([hour {%- for hours in windows_of(group).values() %}, hour - {{ hours }}{% endfor %}]) as cut
        from spine
    ),

    hours as (
        select hour, coalesce(cut, 0) as cut
        from (select distinct hour from sums) as hours
        asof left join cuts on hours.hour >= cuts.cut
    ),

    needed_sums as (
        select
            entity_key,
            cut as hour,
            {{- add_measures() }}
            {%- for event in recency() %},
            max(last_{{ event }}) as last_{{ event }}
            {%- endfor %}
        from sums
        inner join hours using (hour)
        where entity_key in (select entity_key from spine)
        group by entity_key, cut
    ),
    {%- endif %}

    timeline as (
        select *, cast(null as date) as known_day from {{ "needed_sums" if is_short else "sums" }}
        union all by name
        select entity_key, hour, known_day from spine
    ),

    framed as (
        select
            known_day,
            entity_key,
            hour
            {%- for window in windows_of(group) %}
                {%- for measure in measures() %},
            sum(cast({{ measure }} as double)) over last_{{ window }} as {{ measure }}_{{ window }}
                {%- endfor %}
            {%- endfor %}
            {%- for event in recency() %},
            max(last_{{ event }}) over last_{{ windows_of(group).keys() | last }} as last_{{ event }}
            {%- endfor %}
        from timeline
        window
            {%- for window, hours in windows_of(group).items() %}
            last_{{ window }} as (
                partition by entity_key order by hour range between {{ hours }} preceding and 1 preceding
            ){{ "," if not loop.last }}
            {%- endfor %}
    ),

    windows as (
        select
            known_day,
            entity_key,
            hour
            {%- for window in windows_of(group) %}
                {%- for measure in measures() %},
            cast(coalesce({{ measure }}_{{ window }}, 0) as bigint) as {{ measure }}_{{ window }}
                {%- endfor %}
            {%- endfor %}
            {%- for event in recency() %},
            last_{{ event }}
            {%- endfor %}
        from framed
        where known_day is not null
    )
{%- endmacro %}

{# A group's features for each (day, entity, hour) that an impression of the run's days needs. #}
{% macro entity_features(group) %}
with spine as (
    select distinct known_day, {{ group }}_key as entity_key, {{ hour_number("as_of") }} as hour
    from {{ ref("impression_spine") }}
    where {{ in_run_days("known_day") }}
),

global_rates as (
    select * exclude (as_of), {{ hour_number("as_of") }} as hour
    from {{ ref("global_rates") }}
    where {{ in_run_days("known_day") }}
),

{{ window_sums(group) }},

features as (
    select
        known_day,
        entity_key as {{ group }}_key,
        {{- feature_columns(group) }}
        {{ hour_start("hour") }} as as_of
    from windows
    left join global_rates using (known_day, hour)
)

select {{ with_derived(group) }}
from features
{% endmacro %}

{# The sums over the windows before the seal of every entity that was active in them, and of key 0,
   who was not: its row is everyone else's. #}
{% macro sums_at_seal(group) %}
    select
        entity_key,
        {{ hour_number(seal()) }} as hour
        {%- for window, hours in windows_of(group).items() %}
            {%- for measure in measures() %},
        cast(
            coalesce(sum({{ measure }}) filter (where known_hour >= {{ seal() }} - interval {{ hours }} hour), 0)
            as bigint
        ) as {{ measure }}_{{ window }}
            {%- endfor %}
        {%- endfor %}
        {%- for event, measure in recency().items() %},
        {{ hour_number("max(known_hour) filter (where " ~ measure ~ " > 0)") }} as last_{{ event }}
        {%- endfor %}
    from (
        select * exclude (entity_group, known_day)
        from {{ ref("hourly_sums") }}
        where
            entity_group = '{{ group }}'
            and known_day >= cast({{ seal() }} as date) - {{ reach_days(group) }}
            and known_hour >= {{ seal() }} - interval {{ windows_of(group).values() | max }} hour
            and known_hour < {{ seal() }}
        union all by name
        select cast(0 as ubigint) as entity_key
    )
    group by entity_key
{% endmacro %}

{# A group's features as of the seal. #}
{% macro online_features(group) %}
with features as (
    select
        entity_key as {{ group }}_key,
        {{- feature_columns(group) }}
        {{ seal() }} as as_of
    from ({{ sums_at_seal(group) }})
    cross join {{ ref("online_global") }}
)

select {{ with_derived(group) }}
from features
{% endmacro %}

{# Every measure's name, in the catalogue's order. #}
{% macro measures() -%}
    {{ return((var("measures").keys() | list) + (var("totals").keys() | list)) }}
{%- endmacro %}

{# The measures of a group of events: how many of each type, or the sum of their values. #}
{% macro measure_events() -%}
    {%- for measure, event_type in var("measures").items() %}
        count(*) filter (where event_type = '{{ event_type }}') as {{ measure }},
    {%- endfor %}
    {%- for measure, event_type in var("totals").items() %}
        cast(coalesce(sum(try_cast(value as bigint)) filter (where event_type = '{{ event_type }}'), 0) as bigint)
            as {{ measure }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# The measures of a group of sums. #}
{% macro add_measures() -%}
    {%- for measure in measures() %}
        cast(sum({{ measure }}) as bigint) as {{ measure }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# A rate that starts at the global one and moves to its own as impressions come in.
   Double throughout, then one cast: the same numbers wherever it is computed. #}
{% macro smoothed_rate(clicks, impressions) -%}
    cast(
        ({{ clicks }} + {{ var("prior_impressions") }} * global_ctr)
        / ({{ impressions }} + {{ var("prior_impressions") }}) as float
    )
{%- endmacro %}

{# A group's stored feature columns, out of `<measure>_<window>` and global_ctr. #}
{% macro feature_columns(group) -%}
    {%- for window in var("windows") %}
        {%- for measure in measures() %}
    {{ measure }}_{{ window }} as {{ group }}_{{ measure }}_{{ window }},
        {%- endfor %}
    {{ smoothed_rate("clicks_" ~ window, "impressions_" ~ window) }} as {{ group }}_ctr_{{ window }}
        {{- "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

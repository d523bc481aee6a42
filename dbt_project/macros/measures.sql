{# Every measure with the condition on an event that counts for it; a total also has the value to add. #}
{% macro measure_events() -%}
    {%- set counts = {"impressions": "event_type = 'impression'"} -%}
    {%- for event_type in var("event_types") if event_type not in var("totals") -%}
        {%- do counts.update({event_type ~ "s": "event_type = '" ~ event_type ~ "'"}) -%}
    {%- endfor -%}
    {%- do counts.update(var("counted")) -%}
    {{ return(counts) }}
{%- endmacro %}

{# Measures that add values up: the measure and its event type. #}
{% macro measure_totals() -%}
    {%- set totals = {} -%}
    {%- for event_type, measure in var("totals").items() if event_type in var("event_types") -%}
        {%- do totals.update({measure: event_type}) -%}
    {%- endfor -%}
    {{ return(totals) }}
{%- endmacro %}

{# Every measure's name, in the catalogue's order. #}
{% macro measures() -%}
    {{ return((measure_events().keys() | list) + (measure_totals().keys() | list)) }}
{%- endmacro %}

{# Those of `chosen`, a measure by name, whose measure the feed has. #}
{% macro with_measure(chosen) -%}
    {%- set kept = {} -%}
    {%- for name, measure in chosen.items() if measure in measures() -%}
        {%- do kept.update({name: measure}) -%}
    {%- endfor -%}
    {{ return(kept) }}
{%- endmacro %}

{# Every rate and every recency with the measure that it is of. #}
{% macro rates() -%} {{ return(with_measure(var("rates"))) }} {%- endmacro %}
{% macro recency() -%} {{ return(with_measure(var("recency"))) }} {%- endmacro %}

{# The measures of a group of events. #}
{% macro measured() -%}
    {%- for measure, condition in measure_events().items() %}
        cast(count(*) filter (where {{ condition }}) as bigint) as {{ measure }},
    {%- endfor %}
    {%- for measure, event_type in measure_totals().items() %}
        cast(coalesce(sum(try_cast(value as bigint)) filter (where event_type = '{{ event_type }}'), 0) as bigint)
            as {{ measure }},
    {%- endfor %}
{%- endmacro %}

{# The measures of a group of sums. #}
{% macro add_measures() -%}
    {%- for measure in measures() %}
        cast(sum({{ measure }}) as bigint) as {{ measure }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# A rate that starts at the global one and moves to its own as impressions come in (the mean of a Beta
   posterior). Double throughout, then one cast: the same numbers wherever it is computed. #}
{% macro smoothed_rate(rate, measure, window) -%}
    cast(
        ({{ measure }}_{{ window }} + {{ var("prior_impressions") }} * global_{{ rate }})
        / (impressions_{{ window }} + {{ var("prior_impressions") }}) as float
    )
{%- endmacro %}

{# The rates that shrinkage needs: of everything, over the prior's window. #}
{% macro global_rate_columns() %}
    impressions_{{ var("prior_window") }} as global_impressions,
    {%- for rate, measure in rates().items() %}
    ({{ measure }}_{{ var("prior_window") }} + 1)
        / (impressions_{{ var("prior_window") }} + {{ var("prior_impressions") }}) as global_{{ rate }}
        {{- "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# A group's windows and their hours. #}
{% macro windows_of(group) -%}
    {%- set windows = {} -%}
    {%- for window in ([var("prior_window")] if group == "global" else var("windows")[group]) -%}
        {%- do windows.update({window: var("window_hours")[window]}) -%}
    {%- endfor -%}
    {{ return(windows) }}
{%- endmacro %}

{# The last columns of a group's features: those derived from the others. #}
{% macro derived_of(group) -%}
    {%- set derived = {} -%}
    {%- for name, feature in var("derived").items() if feature.of == group -%}
        {%- do derived.update({name: "cast(" ~ feature.sql ~ " as " ~ feature.get("type", "float") ~ ")"}) -%}
    {%- endfor -%}
    {{ return(derived) }}
{%- endmacro %}

{# The names of a group's stored features, in the catalogue's order. #}
{% macro feature_names(group) -%}
    {%- set names = [] -%}
    {%- for window in windows_of(group) -%}
        {%- for measure in measures() + (rates().keys() | list) -%}
            {%- do names.append(group ~ "_" ~ measure ~ "_" ~ window) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for event in recency() -%}
        {%- do names.append(group ~ "_hours_since_" ~ event) -%}
    {%- endfor -%}
    {{ return(names + (derived_of(group).keys() | list)) }}
{%- endmacro %}

{# A group's feature columns but for the derived ones, out of `<measure>_<window>`, `last_<event>` (an
   hour), `hour` and the global rates. #}
{% macro feature_columns(group) -%}
    {%- for window in windows_of(group) %}
        {%- for measure in measures() %}
    {{ measure }}_{{ window }} as {{ group }}_{{ measure }}_{{ window }},
        {%- endfor %}
        {%- for rate, measure in rates().items() %}
    {{ smoothed_rate(rate, measure, window) }} as {{ group }}_{{ rate }}_{{ window }},
        {%- endfor %}
    {%- endfor %}
    {%- for event in recency() %}
    cast(hour - last_{{ event }} as integer) as {{ group }}_hours_since_{{ event }},
    {%- endfor %}
{%- endmacro %}

{# The derived columns behind the others of a relation. #}
{% macro with_derived(group) -%}
    *
    {%- for name, expression in derived_of(group).items() %},
    {{ expression }} as {{ name }}
    {%- endfor %}
{%- endmacro %}

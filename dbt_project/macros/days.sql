{# The days being built, [first, end): the run's, or the slice of them that a materialization has set. #}
{% macro in_run_days(column) -%}
    {{ column }} >= coalesce(getvariable('first_day'), date '{{ var("start_day") }}')
    and {{ column }} < coalesce(getvariable('end_day'), date '{{ var("end_day") }}')
{%- endmacro %}

{# How many days the run builds. #}
{% macro run_days() -%}
    {%- set first = modules.datetime.date.fromisoformat(var("start_day")) -%}
    {%- set end = modules.datetime.date.fromisoformat(var("end_day")) -%}
    {{ return((end - first).days) }}
{%- endmacro %}

{# The instant up to which the past is closed. #}
{% macro seal() -%}
    {%- if var("seal") -%} timestamp '{{ var("seal") }}'
    {%- else -%} coalesce((select max(sealed_until) from {{ target.database }}.raw.seals), timestamp '1970-01-01')
    {%- endif -%}
{%- endmacro %}

{# An instant as hours since 1970: windows are counted in them. #}
{% macro hour_number(instant) -%}
    cast(epoch_us({{ instant }}) // 3600000000 as integer)
{%- endmacro %}

{# The instant at which such an hour starts. #}
{% macro hour_start(hour) -%}
    make_timestamp(cast({{ hour }} as bigint) * 3600000000)
{%- endmacro %}

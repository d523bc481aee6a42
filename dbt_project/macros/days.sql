{# The run's days: [start_day, end_day). #}
{% macro in_run_days(column) -%}
    {{ column }} >= date '{{ var("start_day") }}' and {{ column }} < date '{{ var("end_day") }}'
{%- endmacro %}

{# The instant up to which the past is closed. #}
{% macro seal() -%}
    {%- if var("seal") -%} timestamp '{{ var("seal") }}'
    {%- else -%} coalesce((select max(sealed_until) from {{ target.database }}.raw.seals), timestamp '1970-01-01')
    {%- endif -%}
{%- endmacro %}

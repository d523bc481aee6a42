{# The run's days: [start_day, end_day). #}
{% macro in_run_days(column) -%}
    {{ column }} >= date '{{ var("start_day") }}' and {{ column }} < date '{{ var("end_day") }}'
{%- endmacro %}

{# The instant up to which the past is closed. #}
{% macro seal() -%}
    {%- if var("seal") -%} timestamp '{{ var("seal") }}'
    {%- else -%} (select max(sealed_until) from {{ target.database }}.raw.seals)
    {%- endif -%}
{%- endmacro %}

{# Incremental strategy: the run's days are taken out and written anew in one transaction, so a day
   whose rows are gone ends empty. The model's unique_key names the column of the day. #}
{% macro get_incremental_replace_days_sql(arg_dict) -%}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    delete from {{ arg_dict["target_relation"] }} where {{ in_run_days(arg_dict["unique_key"]) }};
    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict["temp_relation"] }}
{%- endmacro %}

{# Incremental strategy: the run's days are taken out and written anew in one transaction, so a day
   whose rows are gone ends empty. The model's unique_key names the column of the day. #}
{% macro get_incremental_replace_days_sql(arg_dict) -%}
    {{ replace_rows(arg_dict, in_run_days(arg_dict["unique_key"])) }}
{%- endmacro %}

{# Incremental strategy: every row is replaced, in a table that stays. Dropping it each hour would
   leave its columns and comments in the lake's catalog again and again. #}
{% macro get_incremental_replace_all_sql(arg_dict) -%}
    {{ replace_rows(arg_dict, "true") }}
{%- endmacro %}

{% macro replace_rows(arg_dict, condition) -%}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    delete from {{ arg_dict["target_relation"] }} where {{ condition }};
    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict["temp_relation"] }}
{%- endmacro %}

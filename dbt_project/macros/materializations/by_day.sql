{# A table of rows by day (config `day` names the column). The run's days are taken out and written anew
   in one transaction, so a day whose rows are gone ends empty. With config `sliced` they are written
   a slice of days after the other, each of about `slice_rows` impressions: joins stay in memory. #}
{% materialization by_day, adapter="duckdb", supported_languages=["sql"] %}
    {%- set target_relation = this.incorporate(type="table") -%}
    {%- set day = config.require("day") -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% call statement("prepare") %}{{ prepared_table(target_relation) }}{% endcall %}
    {% call statement("empty") %}delete from {{ target_relation }} where {{ in_run_days(day) }}{% endcall %}
    {% for first_day, end_day in (slices() if config.get("sliced") else [(var("start_day"), var("end_day"))]) %}
        {% do run_query("set variable first_day = date '" ~ first_day ~ "'") %}
        {% do run_query("set variable end_day = date '" ~ end_day ~ "'") %}
        {% call statement("main") %}insert into {{ target_relation }} by name {{ compiled_code }}{% endcall %}
    {% endfor %}
    {% for name in ("first_day", "end_day", "first_day_reached") %}
        {% do run_query("reset variable " ~ name) %}
    {% endfor %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({"relations": [target_relation]}) }}
{% endmaterialization %}

{# A table whose every row is replaced at each run. It stays: dropping it each hour would leave its
   columns and comments in the lake's catalog again and again. #}
{% materialization replaced, adapter="duckdb", supported_languages=["sql"] %}
    {%- set target_relation = this.incorporate(type="table") -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% call statement("prepare") %}{{ prepared_table(target_relation) }}{% endcall %}
    {% call statement("empty") %}delete from {{ target_relation }}{% endcall %}
    {% call statement("main") %}insert into {{ target_relation }} by name {{ compiled_code }}{% endcall %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({"relations": [target_relation]}) }}
{% endmaterialization %}

{# SQL that makes the table, or gives the one that is there the columns that it lacks. #}
{% macro prepared_table(relation) %}
    {%- set existing = load_cached_relation(relation) -%}
    {%- if existing is none or should_full_refresh() or existing.type != "table" -%}
        create or replace table {{ relation }} as select * from ({{ compiled_code }}) limit 0
    {%- else -%}
        {%- set known = adapter.get_columns_in_relation(existing) | map(attribute="name") | list -%}
        {%- for column in get_column_schema_from_query(compiled_code) if column.name not in known %}
        alter table {{ relation }} add column {{ column.quoted }} {{ column.data_type }};
        {%- endfor %}
        select 1
    {%- endif -%}
{% endmacro %}

{# The run's days as [first, end) pairs of about `slice_rows` impressions each, without a gap. #}
{% macro slices() %}
    {%- set rows = run_query(
        "select cast(min(day) as varchar) from (select day, sum(impressions) over (order by day) // "
        ~ var("slice_rows") ~ " as slice from (select cast(known_at as date) as day, count(*) as impressions from "
        ~ target.database ~ ".raw.impressions where " ~ in_run_days("known_at") ~ " group by 1)) group by slice order by 1"
    ) -%}
    {%- set starts = [var("start_day")] + (rows.columns[0].values() | list)[1:] -%}
    {%- set ends = starts[1:] + [var("end_day")] -%}
    {{ return(zip(starts, ends) | list) }}
{% endmacro %}

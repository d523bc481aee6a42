{# Descriptions become comments where they differ from what the lake says: each comment written is a
   row that its catalog keeps. DuckLake takes none on a view's columns. #}
{% macro duckdb__persist_docs(relation, model, for_relation, for_columns) -%}
    {%- if execute and relation.type == "view" -%}
        {%- do run_query(alter_relation_comment(relation, model.description)) -%}
    {%- elif execute -%}
        {%- set written = existing_comments(relation) -%}
        {%- if written.get("") != model.description -%}
            {%- do run_query(alter_relation_comment(relation, model.description)) -%}
        {%- endif -%}
        {%- set changed = {} -%}
        {%- for name, column in model.columns.items() if written.get(name) != column.description -%}
            {%- do changed.update({name: column}) -%}
        {%- endfor -%}
        {%- if changed -%}
            {%- do run_query(alter_column_comment(relation, changed)) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# A table's comment under "" and those of its columns under their names. #}
{% macro existing_comments(relation) -%}
    {%- set place -%}
        database_name = '{{ relation.database }}' and schema_name = '{{ relation.schema }}'
        and table_name = '{{ relation.identifier }}'
    {%- endset -%}
    {%- set rows = run_query(
        "select '' as name, comment from duckdb_tables() where " ~ place
        ~ " union all select column_name, comment from duckdb_columns() where " ~ place
    ) -%}
    {%- set comments = {} -%}
    {%- for row in rows -%}
        {%- do comments.update({row[0]: row[1]}) -%}
    {%- endfor -%}
    {{ return(comments) }}
{%- endmacro %}

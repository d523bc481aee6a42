{# Descriptions of what was built become comments where they differ from what the lake says: each comment
   written is a row that its catalog keeps, and looking costs as much for one table as for all of them,
   so it is done once at the end of a run. DuckLake takes none on a view's columns. #}
{% macro describe_tables(results) -%}
    {%- if execute -%}
        {%- set written = existing_comments() -%}
        {%- for result in results if result.node.resource_type == "model" and result.status == "success" -%}
            {%- do describe_model(result.node, written.get(result.node.schema ~ "." ~ result.node.name, {})) -%}
        {%- endfor -%}
        {%- do adapter.commit() -%}
    {%- endif -%}
{%- endmacro %}

{% macro describe_model(node, written) -%}
    {%- set is_view = node.config.materialized == "view" -%}
    {%- set relation = api.Relation.create(
        node.database, node.schema, node.name, type="view" if is_view else "table"
    ) -%}
    {%- if written.get("") != node.description -%}
        {%- do run_query(alter_relation_comment(relation, node.description)) -%}
    {%- endif -%}
    {%- set changed = {} -%}
    {%- for name, column in node.columns.items() if not is_view and written.get(name) != column.description -%}
        {%- do changed.update({name: column}) -%}
    {%- endfor -%}
    {%- if changed -%}
        {%- do run_query(alter_column_comment(relation, changed)) -%}
    {%- endif -%}
{%- endmacro %}

{# By table, its comment under "" and those of its columns under their names. #}
{% macro existing_comments() -%}
    {%- set place = "from {}() where database_name = '" ~ target.database ~ "' and comment is not null" -%}
    {%- set rows = run_query(
        "select schema_name || '.' || table_name, '' as name, comment " ~ place.format("duckdb_tables")
        ~ " union all select schema_name || '.' || view_name, '', comment " ~ place.format("duckdb_views")
        ~ " union all select schema_name || '.' || table_name, column_name, comment "
        ~ place.format("duckdb_columns")
    ) -%}
    {%- set comments = {} -%}
    {%- for table, name, comment in rows -%}
        {%- do comments.setdefault(table, {}).update({name: comment}) -%}
    {%- endfor -%}
    {{ return(comments) }}
{%- endmacro %}

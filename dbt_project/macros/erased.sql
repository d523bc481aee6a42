{# Whether an event is somebody's. Those of people who were erased still count for posts, topics and
   authors, but are no examples and have no labels. #}
{% macro is_somebodys(event_id) -%}
    {{ event_id }} not like 'erased-%'
{%- endmacro %}

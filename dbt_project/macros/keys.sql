{# The 64-bit key of an id, as feed_platform.features.keys computes it; 0 is the key of nothing. #}
{% macro entity_key(id) -%}
    coalesce(md5_number_lower({{ id }}), 0)
{%- endmacro %}

{# The key of a user and a topic together; 0 where either is missing. #}
{% macro user_topic_key(user_id, topic) -%}
    {{ entity_key(user_id ~ " || chr(31) || " ~ topic) }}
{%- endmacro %}

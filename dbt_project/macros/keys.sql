{# The 64-bit key of an id, as feed_platform.features.keys computes it; 0 is the key of nothing. #}
{% macro entity_key(id) -%}
    coalesce(md5_number_lower({{ id }}), 0)
{%- endmacro %}

{# The key of two entities together; 0 where either is missing. The shift keeps the pair of a user and
   an author of the same name from being nothing. #}
{% macro pair_key(first, second) -%}
    case when {{ first }} = 0 or {{ second }} = 0 then cast(0 as ubigint) else xor({{ first }}, {{ second }} >> 1) end
{%- endmacro %}

{# The keys of every entity group, out of the columns user_key, post_key, author_key and topic_key of
   `events` and `posts`. #}
{% macro group_keys(events, posts) -%}
    {{ events }}.user_key,
    {{ events }}.post_key,
    coalesce({{ posts }}.author_key, 0) as author_key,
    coalesce({{ posts }}.topic_key, 0) as topic_key,
    {{ pair_key(events ~ ".user_key", "coalesce(" ~ posts ~ ".topic_key, 0)") }} as user_topic_key,
    {{ pair_key(events ~ ".user_key", "coalesce(" ~ posts ~ ".author_key, 0)") }} as user_author_key
{%- endmacro %}

{{ config(sliced=true) }}
{%- set groups = var("windows").keys() | list -%}

with impressions as (
    select * from {{ ref("impression_spine") }} where {{ in_run_days("known_day") }}
)

{%- for group in groups %},

{{ group }}_features as (
    select * from {{ ref(group ~ "_features") }} where {{ in_run_days("known_day") }}
)
{%- endfor %}

-- Left joins from the impressions on integer keys: they keep DuckDB from joining the feature
-- tables to one another on the hour.
select
    impressions.* exclude (known_day {%- for group in groups %}, {{ group }}_key{% endfor %}),
    {%- for group in groups %}
        {%- for name in feature_names(group) %}
    {{ group }}_features.{{ name }},
        {%- endfor %}
    {%- endfor %}
    impressions.known_day
from impressions
{%- for group in groups %}
left join {{ group }}_features
    on impressions.{{ group }}_key = {{ group }}_features.{{ group }}_key
    and impressions.as_of = {{ group }}_features.as_of
    and impressions.known_day = {{ group }}_features.known_day
{%- endfor %}

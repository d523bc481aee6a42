with impressions as (
    select * from {{ ref("impression_spine") }} where {{ in_run_days("known_day") }}
)

{%- for group in var("groups") %},

{{ group }}_features as (
    select * from {{ ref(group ~ "_features") }} where {{ in_run_days("known_day") }}
)
{%- endfor %}

-- Left joins from the impressions on integer keys: they keep DuckDB from joining the feature
-- tables to one another on the hour.
select
    impressions.impression_id,
    impressions.request_id,
    impressions.user_id,
    impressions.post_id,
    impressions.author_id,
    impressions.topic,
    impressions.policy,
    impressions.position,
    impressions.propensity,
    impressions.known_day,
    impressions.created_at,
    impressions.shown_at,
    impressions.decided_at,
    impressions.attributes_at,
    impressions.as_of
    {%- for group in var("groups") %},
    {{ group }}_features.* exclude ({{ group }}_key, known_day, as_of)
    {%- endfor %}
from impressions
{%- for group in var("groups") %}
left join {{ group }}_features
    on impressions.{{ group }}_key = {{ group }}_features.{{ group }}_key
    and impressions.as_of = {{ group }}_features.as_of
    and impressions.known_day = {{ group }}_features.known_day
{%- endfor %}

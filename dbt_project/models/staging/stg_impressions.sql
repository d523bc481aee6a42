with impressions as (
    select * from {{ source("raw", "impressions") }}
)

select
    impression_id,
    request_id,
    user_id,
    post_id,
    {{ entity_key("user_id") }} as user_key,
    {{ entity_key("post_id") }} as post_key,
    surface,
    policy,
    position,
    propensity,
    context,
    shown_at,
    known_at,
    cast(known_at as date) as known_day
from impressions

with engagements as (
    select * from {{ source("raw", "engagements") }}
)

select
    engagement_id,
    impression_id,
    user_id,
    post_id,
    {{ entity_key("user_id") }} as user_key,
    {{ entity_key("post_id") }} as post_key,
    event_type,
    value,
    occurred_at,
    known_at,
    cast(known_at as date) as known_day
from engagements

with impressions as (
    select *
    from {{ ref("stg_impressions") }}
    where {{ in_run_days("known_day") }} and {{ is_somebodys("impression_id") }}
),

requests as (
    select request_id, requested_at, features_as_of, upserts_at from {{ source("serving", "requests") }}
),

posts as (
    select post_key, author_id, topic, author_key, topic_key, created_at, known_at from {{ ref("stg_posts") }}
),

-- A logged request says which features it was answered with, and the last change of a post or user
-- that it had seen; otherwise the rule does.
timed_impressions as (
    select
        impressions.*,
        coalesce(requests.requested_at, impressions.shown_at) as decided_at,
        coalesce(
            requests.features_as_of,
            date_trunc('hour', impressions.shown_at - interval {{ var("feature_delay_minutes") }} minute)
        ) as as_of,
        coalesce(
            greatest(requests.features_as_of - interval 1 microsecond, requests.upserts_at), impressions.shown_at
        ) as attributes_at
    from impressions
    left join requests on impressions.request_id = requests.request_id
)

select
    impressions.impression_id,
    impressions.request_id,
    impressions.user_id,
    impressions.post_id,
    posts.author_id,
    posts.topic,
    {{ group_keys("impressions", "posts") }},
    impressions.surface,
    impressions.policy,
    impressions.position,
    impressions.propensity,
    impressions.context,
    impressions.known_day,
    posts.created_at,
    impressions.shown_at,
    impressions.decided_at,
    impressions.attributes_at,
    impressions.as_of
from timed_impressions as impressions
asof left join posts
    on impressions.post_key = posts.post_key and impressions.attributes_at >= posts.known_at

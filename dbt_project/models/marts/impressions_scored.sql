{{ config(materialized="view") }}

with impressions as (
    select * from {{ ref("stg_impressions") }}
),

labels as (
    select * from {{ ref("labels") }}
),

requests as (
    select * from {{ source("serving", "requests") }}
),

candidates as (
    select * from {{ source("serving", "candidates") }}
)

select
    impressions.impression_id,
    impressions.request_id,
    impressions.user_id,
    impressions.post_id,
    impressions.surface,
    impressions.policy,
    requests.model_version,
    requests.served_by,
    impressions.position,
    impressions.propensity,
    candidates.score,
    {%- for event_type in var("event_types") %}
    labels.label_{{ event_type }},
    {%- endfor %}
    impressions.shown_at,
    requests.requested_at,
    requests.features_as_of,
    impressions.known_at,
    labels.matured_at
from impressions
left join labels on impressions.impression_id = labels.impression_id
left join requests on impressions.request_id = requests.request_id
left join candidates
    on impressions.request_id = candidates.request_id and impressions.post_id = candidates.post_id

with posts as (
    select *, rowid as row_order from {{ source("raw", "posts") }}
)

select
    post_id,
    {{ entity_key("post_id") }} as post_key,
    author_id,
    topic,
    {{ entity_key("author_id") }} as author_key,
    {{ entity_key("topic") }} as topic_key,
    created_at,
    removed_at,
    known_at
from posts
qualify
    row_number() over (
        partition by post_id, known_at
        order by received_at desc nulls last, row_order desc
    ) = 1

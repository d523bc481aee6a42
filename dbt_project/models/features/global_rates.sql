with spine as (
    select distinct known_day, cast(1 as ubigint) as entity_key, as_of
    from {{ ref("impression_spine") }}
    where {{ in_run_days("known_day") }}
)

select known_day, as_of, global_ctr
from ({{ global_rate("spine") }})

with hourly_sums as (
    select * from {{ ref("hourly_sums") }} where {{ in_run_days("known_day") }}
)

select
    entity_group,
    entity_key,
    known_day,
    {{- add_measures() }}
from hourly_sums
group by entity_group, entity_key, known_day

{{ config(pre_hook="{{ note_first_day_reached() }}") }}

with spine as (
    select distinct known_day, cast(1 as ubigint) as entity_key, {{ hour_number("as_of") }} as hour
    from {{ ref("impression_spine") }}
    where {{ in_run_days("known_day") }}
),

{{ window_sums("global") }}

select
    known_day,
    {{ hour_start("hour") }} as as_of,
    {{- global_rate_columns() }}
from windows

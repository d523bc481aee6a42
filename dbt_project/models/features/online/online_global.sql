with spine as (
    select cast({{ seal() }} as date) as known_day, cast(1 as ubigint) as entity_key, {{ seal() }} as as_of
)

select as_of, global_ctr
from ({{ global_rate("spine") }})

select
    {{- global_rate_columns() }}
from ({{ sums_at_seal("global") }})
order by entity_key desc
limit 1

{# Every event belongs to one entity of each of these groups, so their sums agree on each day. #}
{% test groups_agree(model, groups) %}
select known_day
from (
    select known_day, entity_group, {{ add_measures() }}
    from {{ model }}
    where entity_group in ('{{ groups | join("', '") }}') and {{ in_run_days("known_day") }}
    group by known_day, entity_group
)
group by known_day
having {% for measure in measures() %}min({{ measure }}) <> max({{ measure }}){{ " or " if not loop.last }}{% endfor %}
{% endtest %}

{# A prior keeps every rate that the feed has off 0. #}
{% test global_rates_above_zero(model, day="known_day") %}
select *
from {{ model }}
where {{ in_run_days(day) }} and not coalesce(
    true {%- for rate in rates() %} and global_{{ rate }} > 0 {%- endfor %},
    false
)
{% endtest %}

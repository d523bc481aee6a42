{# Every condition is true of every row of the run's days. #}
{% test holds(model, conditions, day="known_day") %}
select *
from {{ model }}
where {{ in_run_days(day) }} and not coalesce(({{ conditions | join(") and (") }}), false)
{% endtest %}

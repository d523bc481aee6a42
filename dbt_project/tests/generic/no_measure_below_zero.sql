{# Whatever event types a feed has, none of their measures is below 0 on the run's days. #}
{% test no_measure_below_zero(model, day="known_day") %}
select *
from {{ model }}
where {{ in_run_days(day) }} and least({{ measures() | join(", ") }}) < 0
{% endtest %}

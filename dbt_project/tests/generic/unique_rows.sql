{# No two rows of the run's days agree in all of these columns: the model's grain. #}
{% test unique_rows(model, columns, day="known_day") %}
select {{ columns | join(", ") }}
from {{ model }}
{%- if day %}
where {{ in_run_days(day) }}
{%- endif %}
group by all
having count(*) > 1
{% endtest %}

{# Every condition is true of every row. #}
{% test holds(model, conditions) %}
select *
from {{ model }}
where not coalesce(({{ conditions | join(") and (") }}), false)
{% endtest %}

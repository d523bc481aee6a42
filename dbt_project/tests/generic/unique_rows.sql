{# No two rows agree in all of these columns: the model's grain. #}
{% test unique_rows(model, columns) %}
select {{ columns | join(", ") }}
from {{ model }}
group by all
having count(*) > 1
{% endtest %}

{# What happened in a window happened in every longer one too. #}
{% test windows_contain_one_another(model, group) %}
{%- set windows = windows_of(group).keys() | list %}
select *
from {{ model }}
where {{ in_run_days("known_day") }} and not coalesce(
    true
    {%- for window in windows[1:] %}
        {%- for measure in measures() %}
    and {{ group }}_{{ measure }}_{{ windows[windows.index(window) - 1] }} <= {{ group }}_{{ measure }}_{{ window }}
        {%- endfor %}
    {%- endfor %},
    false
)
{% endtest %}

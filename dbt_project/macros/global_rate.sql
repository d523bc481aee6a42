{# The click rate of everything in the 7 days before each as_of of the relation `spine`. #}
{% macro global_rate(spine) %}
    select
        known_day,
        as_of,
        (clicks_7d + 1) / (impressions_7d + {{ var("prior_impressions") }}) as global_ctr
    from ({{ window_sums("global", spine) }})
{% endmacro %}

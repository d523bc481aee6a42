{{ config(materialized="table") }}

{{ online_features("user_topic") }}

{{ config(materialized="table") }}

{{ online_features("topic") }}

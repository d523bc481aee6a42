{{ config(materialized="table") }}

{{ online_features("post") }}

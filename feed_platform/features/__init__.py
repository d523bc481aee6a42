"""Features exact at a point in time: dbt assets, on-demand features, the online snapshot."""

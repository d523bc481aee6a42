{{ entity_features("author") }}

{{ entity_features("user") }}

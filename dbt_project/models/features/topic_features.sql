{{ entity_features("topic") }}

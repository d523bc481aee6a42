{{ entity_features("post") }}

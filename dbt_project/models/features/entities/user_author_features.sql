{{ entity_features("user_author") }}

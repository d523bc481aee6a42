{{ entity_features("user_topic") }}

{{ online_features("user_topic") }}

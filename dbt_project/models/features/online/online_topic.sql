{{ online_features("topic") }}

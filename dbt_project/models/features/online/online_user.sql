{{ online_features("user") }}

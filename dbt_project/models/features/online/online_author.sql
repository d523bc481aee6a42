{{ online_features("author") }}

{{ online_features("post") }}

{{ online_features("user_author") }}

"""Do off-policy intervals cover what the policy is truly worth: hundreds of simulated worlds."""

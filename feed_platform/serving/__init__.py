"""The ranking service on Ray Serve and its deployment asset."""

"""Raw interactions in: simulator, mapping-file import, validation and quarantine, log segments."""

"""The HTTP client: against answers by script, and against the real service with a stub tagger."""

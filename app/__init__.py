"""The service: HTTP around a tagger. No tensor is seen here."""

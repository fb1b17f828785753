"""The web pages: one to try the tagger, one that documents the HTTP interface."""

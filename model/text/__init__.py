"""Text into tokens and sentences; files of tokens."""

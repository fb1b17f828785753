"""Text into tokens and sentences."""

"""Coverage-guided fuzzing of the tagger and of the checkpoint loader, with sanitizers in the C code."""

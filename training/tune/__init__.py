"""The search for better values: spaces, trials, the study, its report."""

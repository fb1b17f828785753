"""What came out: evaluation, the report, the model card."""

"""Rows into logits: windows, what the document adds, the layers."""

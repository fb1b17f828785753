"""Text → tokens → rows → windows → logits → a legal tag path → entities."""

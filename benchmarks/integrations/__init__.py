"""Each client as it was installed, what was called, and what it costs: a row for each of them."""

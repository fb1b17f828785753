"""What stands around every request: admission, limits, keys, rates, observation."""

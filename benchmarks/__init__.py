"""Measurements that the documents cite, each a command."""

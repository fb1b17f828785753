"""Fenestra: a windowed named-entity tagger."""

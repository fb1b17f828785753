"""Pretrained vectors: their file formats, coverage, standardising, compression."""

"""A corpus and pretrained vectors become a checkpoint."""

"""From a request to the model: the models that are served, the queue, the one thread that computes."""

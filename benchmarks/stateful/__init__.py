"""A model of the service that random sequences of clients, reloads and signals are checked against."""

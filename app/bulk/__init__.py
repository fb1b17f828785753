"""The verbs that tag and time whole files: no service in between."""

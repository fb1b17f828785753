"""Between the network and the routes: the server, what stands in front of every request, and every refusal."""

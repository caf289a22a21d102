"""The Redis that everything durable lies in: the client, and a server of its own."""

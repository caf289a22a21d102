"""What listens: servers that people and other programs reach over HTTP, each in a room of its own."""

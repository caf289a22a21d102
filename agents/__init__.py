"""Who is asked, what it is asked, how its answer is read."""

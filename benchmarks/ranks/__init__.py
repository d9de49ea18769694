"""Speed of several processes, and what limits many of them."""

"""Documents, and the script that generates the one of the command line."""

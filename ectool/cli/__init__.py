"""The command line: parse, make a configuration, call a stage, print."""

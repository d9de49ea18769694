"""The commands `data list`, `data info`, `data check` and `data materialize`."""

"""`data list`, `data info`, `data check`, `data materialize`: one module each."""

"""Commands that look at artifacts: `inspect`, `convert`, `compare`, `agree`, `doctor`."""

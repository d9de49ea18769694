"""Zero-shot classifiers of open_clip: configurations, prompts, text features and weights."""

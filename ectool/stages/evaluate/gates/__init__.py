"""Gates: bounds that evaluations must meet, e.g. in continuous integration."""

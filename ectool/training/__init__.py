"""Training loop: weighted loss, schedule, augmentation, epochs, and optimizer state."""

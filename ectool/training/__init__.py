"""The training loop: weighted loss, schedule, epochs, and state that resumes exactly."""

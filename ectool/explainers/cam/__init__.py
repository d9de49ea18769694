"""Class-activation maps: weighted sums of the channels of the target layer."""

"""Training: which samples count, what is minimised, and how the weights move."""

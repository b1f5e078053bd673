"""The losses: how wrong a prediction is, and the direction in which it gets less so."""

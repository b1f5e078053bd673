"""Fast twins of the layers, for training: the same parameters, the same results, other loops."""

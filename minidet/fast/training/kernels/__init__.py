"""The loops of the fast layers, forward and backward, on channels-last maps."""

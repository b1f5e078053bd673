"""Measuring detectors: average precision, recall, landmark errors, the WIDER FACE protocol."""

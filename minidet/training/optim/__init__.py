"""Optimisers, which move the weights, and schedules, which say how far.

Reading order: optimizer.py (what a step is), sgd.py, adam.py, adamw.py, clip.py, schedules.py.
"""

from minidet.training.optim.adam import Adam
from minidet.training.optim.adamw import AdamW
from minidet.training.optim.clip import clip_grad_norm
from minidet.training.optim.optimizer import Optimizer
from minidet.training.optim.schedules import Cosine, MultiStep, Schedule, WarmUp
from minidet.training.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Cosine",
    "MultiStep",
    "Optimizer",
    "Schedule",
    "WarmUp",
    "clip_grad_norm",
]

"""PyTorch on one thread: its sums then come out the same on every run, and nobody waits for a core."""

import torch

torch.set_num_threads(1)

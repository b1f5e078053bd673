"""A training step in plain PyTorch: objectives written from their papers' equations, autograd, torch.optim.

Shares with minidet the data, the targets and the first weights, and no arithmetic.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from tests.live_torch.twins import freeze_batch_norms, twin
from tests.oracles.gradient_cases import Step
from tests.oracles.trajectory_cases import OPTIMIZERS, STEPS, Way

# ---- MTCNN -----------------------------------------------------------------------------------------

NEGATIVE, POSITIVE, PART, LANDMARK = range(4)
# Weights of classification, box and landmarks: below eq. 4 of the paper.
ALPHAS = {"pnet": (1, 0.5, 0.5), "rnet": (1, 0.5, 0.5), "onet": (1, 0.5, 1)}


def mtcnn_objective(outputs, targets, alphas, reduction):
    """Return the number to minimise, and which samples mining kept."""
    types = torch.tensor(targets.sample_types)
    logits = outputs["logits"].flatten(1)
    classes = torch.where((types == POSITIVE) | (types == NEGATIVE))[0]
    losses = functional.cross_entropy(logits[classes], (types[classes] == POSITIVE).long(), reduction="none")
    hardest = losses.topk(len(classes) * 7 // 10)
    kept = torch.zeros(len(types), dtype=torch.bool)
    kept[classes[hardest.indices]] = True

    boxed = (types == POSITIVE) | (types == PART)
    tasks = [
        hardest.values,
        distances(outputs["box_deltas"], targets.box_deltas, boxed),
    ]
    if "landmark_deltas" in outputs:
        tasks.append(distances(outputs["landmark_deltas"], targets.landmark_deltas, types == LANDMARK))
    value = sum(
        alpha * (task.mean() if reduction == "mean" else task.sum())
        for alpha, task in zip(alphas, tasks, strict=False)  # P-Net and R-Net may lack the last task
    )
    return value, kept


def distances(predictions, targets, rows):
    """Squared Euclidean distance of each of the rows."""
    return (predictions.flatten(1)[rows] - torch.tensor(targets)[rows]).square().sum(1)


# ---- RetinaFace ------------------------------------------------------------------------------------

RETINAFACE_SETTINGS = {
    "reference": {"box": 2, "landmark": 1, "ratio": 7, "least": 0, "beta": 1},
    "paper": {"box": 0.25, "landmark": 0.1, "ratio": 3, "least": 0, "beta": 1},
    "background": {"box": 0.25, "landmark": 0.1, "ratio": 3, "least": 20, "beta": 1 / 9},
}


def retinaface_objective(outputs, targets, box, landmark, ratio, least, beta):
    """Return the number to minimise, and which anchors are positive or were mined."""
    positive, negative = torch.tensor(targets.positive), torch.tensor(targets.negative)
    losses = functional.cross_entropy(outputs["logits"].mT, positive.long(), reduction="none")  # (N, A)
    mined = torch.zeros_like(positive)
    for n in range(len(losses)):
        candidates = losses[n].detach().where(negative[n], -torch.inf)
        count = min(max(ratio * positive[n].sum().item(), least), negative[n].sum().item())
        mined[n, candidates.sort(descending=True).indices[:count]] = True

    # A negative never weighs more than one in an image where the ratio holds.
    divisor = max(positive.sum().item(), mined.sum().item() / ratio)
    value = losses[positive | mined].sum() / divisor
    box_error = functional.smooth_l1_loss(
        outputs["box_deltas"][positive], torch.tensor(targets.box_deltas), beta=beta, reduction="sum"
    )
    known = torch.tensor(targets.has_landmarks)
    landmark_error = functional.smooth_l1_loss(
        outputs["landmark_deltas"][positive][known],
        torch.tensor(targets.landmark_deltas)[known],
        beta=beta,
        reduction="sum",
    )
    value = value + box * box_error / positive.sum() + landmark * landmark_error / known.sum()
    return value, positive | mined


# ---- Training --------------------------------------------------------------------------------------


def torch_module(case, dtype):
    """The twin, loaded and ready to learn."""
    module = twin(case.network, case.state(), dtype).train()
    if case.frozen:
        freeze_batch_norms(module)
    return module


def torch_objective(case, module, x, targets):
    """Run the twin forward and judge what it says."""
    outputs = module(x)
    if case.network == "retinaface":
        return retinaface_objective(outputs, targets, **RETINAFACE_SETTINGS[case.objective])
    return mtcnn_objective(outputs, targets, ALPHAS[case.family], case.objective)


def torch_step(case, dtype):
    """Forward and backward, as minidet's ``step``."""
    module, batch = torch_module(case, dtype), case.batch(dtype)
    x = torch.tensor(batch.x, requires_grad=True)
    value, kept = torch_objective(case, module, x, batch.targets)
    value.backward()
    gradients = {name: parameter.grad.numpy() for name, parameter in module.named_parameters()}
    tensors = {**gradients, "x": x.grad.numpy(), **torch_running_statistics(module)}
    return Step(value.item(), kept.numpy(), tensors)


def torch_follow(trajectory, dtype):
    """Train the twin, as minidet's ``follow``."""
    case = trajectory.case
    module, batch = torch_module(case, dtype), case.batch(dtype)
    kind, options = OPTIMIZERS[trajectory.optimizer]
    optimizer = getattr(torch.optim, kind)(module.parameters(), **options)
    losses, masks = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        value, kept = torch_objective(case, module, torch.tensor(batch.x), batch.targets)
        value.backward()
        optimizer.step()
        losses.append(value.item())
        masks.append(kept.numpy())
    parameters = {name: parameter.detach().numpy() for name, parameter in module.named_parameters()}
    return Way(np.array(losses), np.stack(masks), {**parameters, **torch_running_statistics(module)})


def torch_running_statistics(module):
    """What the batch norms remember, by name."""
    return {name: buffer.numpy().copy() for name, buffer in module.named_buffers() if "running" in name}


class Kinks(TorchFunctionMode):
    """Notes on which side of its kink every rectifier is, and which pixel every pooling window took."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function.__name__ in ("prelu", "leaky_relu", "relu"):
            self.found.append((args[0] > 0).numpy())
        if function.__name__ == "max_pool2d":
            options = {**(kwargs or {}), "return_indices": True}
            self.found.append(functional.max_pool2d_with_indices(*args, **options)[1].numpy())
        return function(*args, **(kwargs or {}))


def torch_kinks(case, dtype):
    """As minidet's ``kinks``, in the order of the forward pass."""
    module, x = torch_module(case, dtype), torch.tensor(case.batch(dtype).x)
    with torch.no_grad(), Kinks() as mode:
        module(x)
    return mode.found

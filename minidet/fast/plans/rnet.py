"""R-Net, compiled: twin of :class:`minidet.models.mtcnn.RNet`, of many crops at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minidet._typing import Float32Array, FloatArray
from minidet.fast.plans.crop_network import CropNetwork, CropNetworkBuilder
from minidet.models.mtcnn import RNet
from minidet.ops import softmax_forward


def _compile(model: RNet) -> CropNetwork:
    net = CropNetworkBuilder(24, crops_together=8)
    net.conv_pool(model.conv1, model.prelu1, 3)  # 22x22x28, 11x11x28
    net.conv_pool(model.conv2, model.prelu2, 3)  # 9x9x48, 4x4x48
    return net.build(
        *("R-Net", model.conv3, model.prelu3),  # 3x3x64, flattened to 576
        *(model.linear4, model.prelu4),  # 128
        *(model.class_head, model.box_head),
    )


class CompiledRNet:
    """An R-Net that is called like ``model.predict``, or with an image and windows of it. Threads may share
    it.

    Its weights are those that the model had when it was compiled.

    Parameters
    ----------
    model : RNet
        Its landmark head, if it has one, is not used.
    """

    def __init__(self, model: RNet) -> None:
        self._network = _compile(model)

    def __call__(self, x: FloatArray) -> tuple[Float32Array, Float32Array]:
        """Compute scores (N, 2) and box_deltas (N, 4) of x (N, 3, 24, 24).

        Twin: :meth:`minidet.models.mtcnn.RNet.predict`; within 1e-5 of the largest. x is brought to float32
        if it is not.

        Raises
        ------
        InputError
            If the shape is another.
        """
        return _split(self._network.of_tensor(x))

    def of_windows(
        self, image: NDArray[np.uint8], windows: NDArray[np.int64]
    ) -> tuple[Float32Array, Float32Array]:
        """Compute the same of windows (N, 4) of an image: left, top, and one past right and bottom."""
        return _split(self._network.of_windows(image, windows))


def _split(outputs: Float32Array) -> tuple[Float32Array, Float32Array]:
    return softmax_forward(outputs[:, :2], axis=1), outputs[:, 2:6]

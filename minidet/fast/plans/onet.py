"""O-Net, compiled: twin of :class:`minidet.models.mtcnn.ONet`, of many crops at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minidet._typing import Float32Array, FloatArray
from minidet.fast.plans.crop_network import CropNetwork, CropNetworkBuilder
from minidet.models.mtcnn import ONet
from minidet.ops import softmax_forward


def _compile(model: ONet) -> CropNetwork:
    net = CropNetworkBuilder(48, crops_together=4)
    net.conv_pool(model.conv1, model.prelu1, 3)  # 46x46x32, 23x23x32
    net.conv_pool(model.conv2, model.prelu2, 3)  # 21x21x64, 10x10x64
    net.conv_pool(model.conv3, model.prelu3, 2)  # 8x8x64, 4x4x64
    return net.build(
        *("O-Net", model.conv4, model.prelu4),  # 3x3x128, flattened to 1152
        *(model.linear5, model.prelu5),  # 256
        *(model.class_head, model.box_head, model.landmark_head),
    )


class CompiledONet:
    """An O-Net that is called like ``model.predict``, or with an image and windows of it. Threads may share
    it.

    Its weights are those that the model had when it was compiled.

    Parameters
    ----------
    model : ONet
    """

    def __init__(self, model: ONet) -> None:
        self._network = _compile(model)

    def __call__(self, x: FloatArray) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Compute scores (N, 2), box_deltas (N, 4) and landmark_deltas (N, 10) of x (N, 3, 48, 48).

        Twin: :meth:`minidet.models.mtcnn.ONet.predict`; within 1e-5 of the largest. x is brought to float32
        if it is not.

        Raises
        ------
        InputError
            If the shape is another.
        """
        return _split(self._network.of_tensor(x))

    def of_windows(
        self, image: NDArray[np.uint8], windows: NDArray[np.int64]
    ) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Compute the same of windows (N, 4) of an image: left, top, and one past right and bottom."""
        return _split(self._network.of_windows(image, windows))


def _split(outputs: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array]:
    return softmax_forward(outputs[:, :2], axis=1), outputs[:, 2:6], outputs[:, 6:]

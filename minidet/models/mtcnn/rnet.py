"""R-Net, the refinement network: judges one 24x24 crop at a time and moves its box."""

from __future__ import annotations

from minidet._typing import FloatArray
from minidet.models.mtcnn.flatten import flatten_columns_first, unflatten_columns_first
from minidet.models.mtcnn.landmark_head import back_through_landmark_head
from minidet.nn import Conv2d, Linear, MaxPool2d, Module, PReLU
from minidet.ops import softmax_forward


class RNet(Module):
    """Zhang et al. 2016, figure 2; the released network has no landmark outputs.

    Parameters
    ----------
    landmark_head : bool
        Add the paper's landmark outputs, which help in training and which the cascade never uses.
    """

    def __init__(self, *, landmark_head: bool = False) -> None:
        self.conv1 = Conv2d(3, 28, 3)
        self.prelu1 = PReLU(28)
        self.pool1 = MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = Conv2d(28, 48, 3)
        self.prelu2 = PReLU(48)
        self.pool2 = MaxPool2d(3, 2, ceil_mode=True)
        self.conv3 = Conv2d(48, 64, 2)
        self.prelu3 = PReLU(64)
        self.linear4 = Linear(576, 128)
        self.prelu4 = PReLU(128)
        self.class_head = Linear(128, 2)
        self.box_head = Linear(128, 4)
        self.landmark_head = Linear(128, 10) if landmark_head else None

    def forward(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray | None]:
        """Compute the raw outputs for every crop.

        Parameters
        ----------
        x : (N, 3, 24, 24) array
            RGB, (value - 127.5) / 128.

        Returns
        -------
        logits : (N, 2) array
            No face, face.
        box_deltas : (N, 4) array
            Shifts of x1, y1, x2, y2, in units of the crop's width and height.
        landmark_deltas : (N, 10) array or None
            x1..x5, y1..y5 from the crop's corner, in the same units; None without the landmark head.
        """
        x = self.conv1.forward(x)  # (N, 28, 22, 22)
        x = self.prelu1.forward(x)
        x = self.pool1.forward(x)  # (N, 28, 11, 11)
        x = self.conv2.forward(x)  # (N, 48, 9, 9)
        x = self.prelu2.forward(x)
        x = self.pool2.forward(x)  # (N, 48, 4, 4)
        x = self.conv3.forward(x)  # (N, 64, 3, 3)
        x = self.prelu3.forward(x)
        x = flatten_columns_first(x)  # (N, 576)
        x = self.linear4.forward(x)  # (N, 128)
        x = self.prelu4.forward(x)
        logits = self.class_head.forward(x)
        box_deltas = self.box_head.forward(x)
        landmark_deltas = self.landmark_head.forward(x) if self.landmark_head else None
        return logits, box_deltas, landmark_deltas

    def backward(
        self,
        grad_logits: FloatArray,
        grad_box_deltas: FloatArray,
        grad_landmark_deltas: FloatArray | None = None,
    ) -> FloatArray:
        """Go back through :meth:`forward`, line by line.

        Parameters
        ----------
        grad_logits, grad_box_deltas, grad_landmark_deltas : (N, 2 | 4 | 10) arrays
            Gradients of the loss with respect to the outputs; None for landmarks without the head.

        Returns
        -------
        grad_x : (N, 3, 24, 24) array
        """
        # x is used by every head, so their gradients add.
        grad_x = back_through_landmark_head(self.landmark_head, grad_landmark_deltas)
        grad_x = grad_x + self.box_head.backward(grad_box_deltas)
        grad_x = grad_x + self.class_head.backward(grad_logits)
        grad_x = self.prelu4.backward(grad_x)
        grad_x = self.linear4.backward(grad_x)
        grad_x = unflatten_columns_first(grad_x, (64, 3, 3))
        grad_x = self.prelu3.backward(grad_x)
        grad_x = self.conv3.backward(grad_x)
        grad_x = self.pool2.backward(grad_x)
        grad_x = self.prelu2.backward(grad_x)
        grad_x = self.conv2.backward(grad_x)
        grad_x = self.pool1.backward(grad_x)
        grad_x = self.prelu1.backward(grad_x)
        return self.conv1.backward(grad_x)

    def predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Compute what the cascade needs: scores (N, 2) that sum to one, and box_deltas (N, 4).

        Parameters
        ----------
        x : (N, 3, 24, 24) array, float32 or float64
            Crops, (RGB - 127.5) / 128.

        Returns
        -------
        scores : (N, 2) array
            No face, face.
        box_deltas : (N, 4) array
            Of x1 y1 x2 y2, in sides of the box.
        """
        logits, box_deltas, _ = self.forward(x)
        return softmax_forward(logits, axis=1), box_deltas

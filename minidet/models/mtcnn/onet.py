"""O-Net, the output network: the last word on a 48x48 crop, with five landmarks."""

from __future__ import annotations

from minidet._typing import FloatArray
from minidet.models.mtcnn.flatten import flatten_columns_first, unflatten_columns_first
from minidet.models.mtcnn.landmark_head import back_through_landmark_head
from minidet.nn import Conv2d, Linear, MaxPool2d, Module, PReLU
from minidet.ops import softmax_forward


class ONet(Module):
    """Zhang et al. 2016, figure 2, without the dropout of the authors' training."""

    def __init__(self) -> None:
        self.conv1 = Conv2d(3, 32, 3)
        self.prelu1 = PReLU(32)
        self.pool1 = MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = Conv2d(32, 64, 3)
        self.prelu2 = PReLU(64)
        self.pool2 = MaxPool2d(3, 2, ceil_mode=True)
        self.conv3 = Conv2d(64, 64, 3)
        self.prelu3 = PReLU(64)
        self.pool3 = MaxPool2d(2, 2, ceil_mode=True)
        self.conv4 = Conv2d(64, 128, 2)
        self.prelu4 = PReLU(128)
        self.linear5 = Linear(1152, 256)
        self.prelu5 = PReLU(256)
        self.class_head = Linear(256, 2)
        self.box_head = Linear(256, 4)
        self.landmark_head = Linear(256, 10)

    def forward(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Compute the raw outputs for every crop.

        Parameters
        ----------
        x : (N, 3, 48, 48) array
            RGB, (value - 127.5) / 128.

        Returns
        -------
        logits : (N, 2) array
            No face, face.
        box_deltas : (N, 4) array
            Shifts of x1, y1, x2, y2, in units of the crop's width and height.
        landmark_deltas : (N, 10) array
            x1..x5, y1..y5 from the crop's corner, in the same units: left eye, right eye, nose, left and
            right mouth corner, as seen in the image.
        """
        x = self.conv1.forward(x)  # (N, 32, 46, 46)
        x = self.prelu1.forward(x)
        x = self.pool1.forward(x)  # (N, 32, 23, 23)
        x = self.conv2.forward(x)  # (N, 64, 21, 21)
        x = self.prelu2.forward(x)
        x = self.pool2.forward(x)  # (N, 64, 10, 10)
        x = self.conv3.forward(x)  # (N, 64, 8, 8)
        x = self.prelu3.forward(x)
        x = self.pool3.forward(x)  # (N, 64, 4, 4)
        x = self.conv4.forward(x)  # (N, 128, 3, 3)
        x = self.prelu4.forward(x)
        x = flatten_columns_first(x)  # (N, 1152)
        x = self.linear5.forward(x)  # (N, 256)
        x = self.prelu5.forward(x)
        logits = self.class_head.forward(x)
        box_deltas = self.box_head.forward(x)
        landmark_deltas = self.landmark_head.forward(x)
        return logits, box_deltas, landmark_deltas

    def backward(
        self, grad_logits: FloatArray, grad_box_deltas: FloatArray, grad_landmark_deltas: FloatArray
    ) -> FloatArray:
        """Go back through :meth:`forward`, line by line.

        Parameters
        ----------
        grad_logits, grad_box_deltas, grad_landmark_deltas : (N, 2 | 4 | 10) arrays
            Gradients of the loss with respect to the outputs.

        Returns
        -------
        grad_x : (N, 3, 48, 48) array
        """
        # x is used by three heads, so their gradients add.
        grad_x = back_through_landmark_head(self.landmark_head, grad_landmark_deltas)
        grad_x = grad_x + self.box_head.backward(grad_box_deltas)
        grad_x = grad_x + self.class_head.backward(grad_logits)
        grad_x = self.prelu5.backward(grad_x)
        grad_x = self.linear5.backward(grad_x)
        grad_x = unflatten_columns_first(grad_x, (128, 3, 3))
        grad_x = self.prelu4.backward(grad_x)
        grad_x = self.conv4.backward(grad_x)
        grad_x = self.pool3.backward(grad_x)
        grad_x = self.prelu3.backward(grad_x)
        grad_x = self.conv3.backward(grad_x)
        grad_x = self.pool2.backward(grad_x)
        grad_x = self.prelu2.backward(grad_x)
        grad_x = self.conv2.backward(grad_x)
        grad_x = self.pool1.backward(grad_x)
        grad_x = self.prelu1.backward(grad_x)
        return self.conv1.backward(grad_x)

    def predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Compute scores (N, 2) that sum to one, box_deltas (N, 4) and landmark_deltas (N, 10).

        Parameters
        ----------
        x : (N, 3, 48, 48) array, float32 or float64
            Crops, (RGB - 127.5) / 128.

        Returns
        -------
        scores : (N, 2) array
            No face, face.
        box_deltas : (N, 4) array
            Of x1 y1 x2 y2, in sides of the box.
        landmark_deltas : (N, 10) array
            x1 .. x5, y1 .. y5, in sides of the box.
        """
        logits, box_deltas, landmark_deltas = self.forward(x)
        return softmax_forward(logits, axis=1), box_deltas, landmark_deltas

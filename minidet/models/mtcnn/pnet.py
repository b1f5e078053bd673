"""P-Net, the proposal network: looks at every 12x12 window of an image at once and names those with a face.

It has no fully connected layer, so an image of any size goes in and a map comes out: cell (j, i) of the map
has looked at the 12x12 pixels whose top left corner is (2 j, 2 i).
"""

from __future__ import annotations

from minidet._typing import FloatArray
from minidet.models.mtcnn.landmark_head import back_through_landmark_head
from minidet.nn import Conv2d, MaxPool2d, Module, PReLU
from minidet.ops import softmax_forward


class PNet(Module):
    """The released P-Net has 2 + 4 outputs per cell; Zhang et al. 2016, figure 2, add 10 for landmarks.

    Parameters
    ----------
    landmark_head : bool
        Add the paper's landmark outputs. The released weights have none, and the cascade never uses them:
        they are a second task that helps in training.
    """

    def __init__(self, *, landmark_head: bool = False) -> None:
        self.conv1 = Conv2d(3, 10, 3)
        self.prelu1 = PReLU(10)
        # Figure 2 prints a 3x3 window; the released network pools 2x2. Both make 5x5 from 10x10.
        self.pool1 = MaxPool2d(2, 2, ceil_mode=True)
        self.conv2 = Conv2d(10, 16, 3)
        self.prelu2 = PReLU(16)
        self.conv3 = Conv2d(16, 32, 3)
        self.prelu3 = PReLU(32)
        self.class_head = Conv2d(32, 2, 1)
        self.box_head = Conv2d(32, 4, 1)
        self.landmark_head = Conv2d(32, 10, 1) if landmark_head else None

    def forward(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray | None]:
        """Compute the raw outputs of every cell; h = ceil((H - 2) / 2) - 4, and w likewise.

        Parameters
        ----------
        x : (N, 3, H, W) array
            RGB, (value - 127.5) / 128; sides of at least 11 pixels.

        Returns
        -------
        logits : (N, 2, h, w) array
            No face, face.
        box_deltas : (N, 4, h, w) array
            Shifts of x1, y1, x2, y2, in units of the window's side.
        landmark_deltas : (N, 10, h, w) array or None
            x1..x5, y1..y5 from the window's corner, in the same unit; None without the landmark head.
        """
        x = self.conv1.forward(x)  # (N, 10, H - 2, W - 2)
        x = self.prelu1.forward(x)
        x = self.pool1.forward(x)  # (N, 10, ceil((H - 2) / 2), ...)
        x = self.conv2.forward(x)  # (N, 16, h + 2, w + 2)
        x = self.prelu2.forward(x)
        x = self.conv3.forward(x)  # (N, 32, h, w)
        x = self.prelu3.forward(x)
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
        grad_logits, grad_box_deltas, grad_landmark_deltas : (N, 2 | 4 | 10, h, w) arrays
            Gradients of the loss with respect to the outputs; None for landmarks without the head.

        Returns
        -------
        grad_x : (N, 3, H, W) array
        """
        # x is used by every head, so their gradients add.
        grad_x = back_through_landmark_head(self.landmark_head, grad_landmark_deltas)
        grad_x = grad_x + self.box_head.backward(grad_box_deltas)
        grad_x = grad_x + self.class_head.backward(grad_logits)
        grad_x = self.prelu3.backward(grad_x)
        grad_x = self.conv3.backward(grad_x)
        grad_x = self.prelu2.backward(grad_x)
        grad_x = self.conv2.backward(grad_x)
        grad_x = self.pool1.backward(grad_x)
        grad_x = self.prelu1.backward(grad_x)
        return self.conv1.backward(grad_x)

    def predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Compute what the cascade needs: scores (N, 2, h, w) that sum to one, box_deltas (N, 4, h, w).

        Parameters
        ----------
        x : (N, 3, H, W) array, float32 or float64
            Images of a pyramid level, (RGB - 127.5) / 128.

        Returns
        -------
        scores : (N, 2, h, w) array
            No face, face.
        box_deltas : (N, 4, h, w) array
            Of x1 y1 x2 y2, in sides of the window.
        """
        logits, box_deltas, _ = self.forward(x)
        return softmax_forward(logits, axis=1), box_deltas

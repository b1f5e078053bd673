"""Fast twin of the feature pyramid: upsampling and the sum behind it in one pass."""

from __future__ import annotations

from minidet._typing import Float32Array, FloatArray
from minidet.fast.team import run_plan
from minidet.fast.training.conv import is_map
from minidet.fast.training.kernels.upsample import upsample_add_plan, upsample_backward_plan
from minidet.fast.training.kernels.windows import Windows
from minidet.fast.training.maps import SMALL, memory_of, new_map, padded
from minidet.models.retinaface.fpn import FPN


class FastFPN(FPN):
    """Twin of FPN. float32 maps take the fast way, others the definition's; agrees to 1e-5 per tensor."""

    def forward(
        self, c3: FloatArray, c4: FloatArray, c5: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Compute P3, P4, P5, each of the size of its C and with ``out_channels`` channels."""
        if not (is_map(c3) and is_map(c4) and is_map(c5)):
            return super().forward(c3, c4, c5)
        p5 = self.lateral5.forward(c5)
        sum4 = upsample_add(p5, self.lateral4.forward(c4))
        p4 = self.merge4.forward(sum4)
        sum3 = upsample_add(p4, self.lateral3.forward(c3))
        p3 = self.merge3.forward(sum3)
        self.keep_for_backward((p4.shape, p5.shape))
        return p3, p4, p5

    def backward(
        self, grad_p3: FloatArray, grad_p4: FloatArray, grad_p5: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Go back through :meth:`forward`, line by line, to the gradients of C3, C4, C5."""
        if not (is_map(grad_p3) and is_map(grad_p4) and is_map(grad_p5)):
            return super().backward(grad_p3, grad_p4, grad_p5)
        self.kept()
        grad_sum3 = self.merge3.backward(grad_p3)
        # p4 is used twice, as an output and for the finer level, so the gradients add.
        grad_p4 = upsample_backward_add(grad_sum3, grad_p4)
        grad_c3 = self.lateral3.backward(grad_sum3)
        grad_sum4 = self.merge4.backward(grad_p4)
        # p5 is used twice as well.
        grad_p5 = upsample_backward_add(grad_sum4, grad_p5)
        grad_c4 = self.lateral4.backward(grad_sum4)
        grad_c5 = self.lateral5.backward(grad_p5)
        return grad_c3, grad_c4, grad_c5


def upsample_add(x: Float32Array, addend: Float32Array) -> Float32Array:
    """Return ``addend`` (N, C, OH, OW) plus ``x`` (N, C, H, W) brought to its size."""
    s = _windows(x, addend)
    memory, y = new_map(*addend.shape)
    run_plan(
        upsample_add_plan,
        memory_of(x),
        memory_of(addend),
        memory,
        s,
        steps=1,
        alone=addend.size < SMALL,
    )
    return y


def upsample_backward_add(grad_output: Float32Array, addend: Float32Array) -> Float32Array:
    """Return ``addend`` (N, C, H, W) plus what ``grad_output`` (N, C, OH, OW) gives to the coarser map."""
    s = _windows(addend, grad_output)
    memory, grad_x = new_map(*addend.shape)
    run_plan(
        upsample_backward_plan,
        memory_of(grad_output),
        memory_of(addend),
        memory,
        s,
        steps=1,
        alone=grad_output.size < SMALL,
    )
    return grad_x


def _windows(coarse: Float32Array, fine: Float32Array) -> Windows:
    (N, C, H, W), (OH, OW) = coarse.shape, fine.shape[2:]
    return Windows(N, H, W, padded(C), OH, OW, padded(C), 1, 1, 0)

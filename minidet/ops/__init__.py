"""The operations the networks are made of: pure functions, arrays in, arrays out.

One operation per file. Tensors are (N, C, H, W), float32 or float64; a result has the type of its input.
"""

from minidet.ops.batch_norm2d import BatchNormCache, batch_norm2d_backward, batch_norm2d_forward
from minidet.ops.concat import concat_backward, concat_forward
from minidet.ops.conv2d import conv2d_backward, conv2d_forward
from minidet.ops.deform_conv2d import deform_conv2d_backward, deform_conv2d_forward
from minidet.ops.depthwise_conv2d import depthwise_conv2d_backward, depthwise_conv2d_forward
from minidet.ops.leaky_relu import leaky_relu_backward, leaky_relu_forward
from minidet.ops.linear import linear_backward, linear_forward
from minidet.ops.max_pool2d import max_pool2d_backward, max_pool2d_forward
from minidet.ops.prelu import prelu_backward, prelu_forward
from minidet.ops.relu import relu_backward, relu_forward
from minidet.ops.sigmoid import sigmoid_backward, sigmoid_forward
from minidet.ops.softmax import softmax_backward, softmax_forward
from minidet.ops.upsample_nearest2d import upsample_nearest2d_backward, upsample_nearest2d_forward

__all__ = [
    "BatchNormCache",
    "batch_norm2d_backward",
    "batch_norm2d_forward",
    "concat_backward",
    "concat_forward",
    "conv2d_backward",
    "conv2d_forward",
    "deform_conv2d_backward",
    "deform_conv2d_forward",
    "depthwise_conv2d_backward",
    "depthwise_conv2d_forward",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "linear_backward",
    "linear_forward",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "prelu_backward",
    "prelu_forward",
    "relu_backward",
    "relu_forward",
    "sigmoid_backward",
    "sigmoid_forward",
    "softmax_backward",
    "softmax_forward",
    "upsample_nearest2d_backward",
    "upsample_nearest2d_forward",
]

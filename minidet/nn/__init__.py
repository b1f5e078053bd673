"""Layers with state: an operation of ``minidet.ops`` together with the arrays it needs."""

from minidet.nn.activation import LeakyReLU, PReLU, ReLU
from minidet.nn.conv import Conv2d, DepthwiseConv2d
from minidet.nn.cost import multiply_adds
from minidet.nn.init import (
    caffe_xavier,
    fans,
    initialise,
    kaiming_normal,
    kaiming_uniform,
    xavier_normal,
    xavier_uniform,
)
from minidet.nn.linear import Linear
from minidet.nn.module import Layer, Module
from minidet.nn.norm import BatchNorm2d, freeze_batch_norms
from minidet.nn.parameter import Buffer, Parameter
from minidet.nn.pooling import MaxPool2d
from minidet.nn.reestimate import reestimate_batch_norms
from minidet.nn.sequential import Sequential

__all__ = [
    "BatchNorm2d",
    "Buffer",
    "Conv2d",
    "DepthwiseConv2d",
    "Layer",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Module",
    "PReLU",
    "Parameter",
    "ReLU",
    "Sequential",
    "caffe_xavier",
    "fans",
    "freeze_batch_norms",
    "initialise",
    "kaiming_normal",
    "kaiming_uniform",
    "multiply_adds",
    "reestimate_batch_norms",
    "xavier_normal",
    "xavier_uniform",
]

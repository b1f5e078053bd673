"""RetinaFace (Deng et al. 2019): a backbone, a feature pyramid, context modules and three heads."""

from minidet.models.retinaface.anchor_free import AnchorFreeNet
from minidet.models.retinaface.architecture import Architecture
from minidet.models.retinaface.cascade import CascadeNet
from minidet.models.retinaface.dense_net import dense_net
from minidet.models.retinaface.mesh import DenseNet
from minidet.models.retinaface.mesh_decoder import MeshDecoder
from minidet.models.retinaface.pixel import PixelBranch
from minidet.models.retinaface.pyramid_net import Branch, PyramidNet, Trunk
from minidet.models.retinaface.retinaface import RetinaFaceNet

__all__ = [
    "AnchorFreeNet",
    "Architecture",
    "Branch",
    "CascadeNet",
    "DenseNet",
    "MeshDecoder",
    "PixelBranch",
    "PyramidNet",
    "RetinaFaceNet",
    "Trunk",
    "dense_net",
]

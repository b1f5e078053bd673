"""The three networks of MTCNN (Zhang et al. 2016, figure 2), in the order in which a face passes them."""

from minidet.models.mtcnn.onet import ONet
from minidet.models.mtcnn.pnet import PNet
from minidet.models.mtcnn.rnet import RNet

__all__ = ["ONet", "PNet", "RNet"]

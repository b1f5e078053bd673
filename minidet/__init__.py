"""Two face detectors, MTCNN and RetinaFace, from scratch in NumPy and Numba.

Where to read on, following an image through the package; no step needs a file of a later one:

====================  ==================================================================================
``detections``        what comes out, and the legend of shapes and coordinates
``trace``             what happened inside a detector, step by step
``image``             pixels: reading, pyramid, crops, preparing, drawing, aligning
``ops``               the operations: convolution, pooling, activations, batch norm; one per file
``boxes``             anchors, coding, IoU, non-maximum suppression (soft and by votes, too)
``nn``                operations with the arrays they need: layers
``models``            the networks: P-Net, R-Net, O-Net; MobileNet, pyramid, context, heads
``weights``           the shipped numbers, and readers for the reference checkpoints
``detectors``         image in, faces out: one function of numbered steps each
``fast``              the same arithmetic with explicit vectors, fused layers and threads
``api``               the classes below
``datasets``          annotated photographs, in the formats of WIDER FACE, Pascal VOC, COCO, YOLO, CelebA
``evaluation``        average precision, recall, landmark errors, the WIDER FACE protocol
``course``            exercises with a checker that tells what is wrong with your own NMS
``explain``           one photograph explained: every step of a detector as a page
====================  ==================================================================================
"""

from minidet import boxes, course, datasets, evaluation, losses, nn, ops, training
from minidet.api import MTCNN, RetinaFace, detect
from minidet.detections import Detections, Face
from minidet.errors import InputError
from minidet.fast import get_num_threads, set_num_threads
from minidet.image import align, crop, draw, read_image
from minidet.trace import Trace

__version__ = "0.1.0"

__all__ = [
    "MTCNN",
    "Detections",
    "Face",
    "InputError",
    "RetinaFace",
    "Trace",
    "align",
    "boxes",
    "course",
    "crop",
    "datasets",
    "detect",
    "draw",
    "evaluation",
    "get_num_threads",
    "losses",
    "nn",
    "ops",
    "read_image",
    "set_num_threads",
    "training",
]

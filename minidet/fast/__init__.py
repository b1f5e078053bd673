"""The same arithmetic, faster: explicit vectors, fused layers, planned memory, threads.

Nothing in the storeys below knows of this one. A detector is given networks as callables; :func:`compile`
makes such a callable from a network of layers. Where to read on::

    compile       a network in, a callable out
    plans         one page per network: kernel calls in the order of its ``forward``
    kernels       one loop nest per file, each with the name of its readable twin
    simd          vector registers in Python
    team          threads; layout, workspace: where numbers lie
    boxes         fast twins of what is done with boxes
    retinaface    from pixels to faces; mtcnn likewise
    training      fast twins of the layers
"""

from minidet.fast.compile import compile, is_available
from minidet.fast.mtcnn import detect_mtcnn
from minidet.fast.retinaface import detect_retinaface
from minidet.fast.team import get_num_threads, set_num_threads
from minidet.fast.training.accelerate import accelerate

__all__ = [
    "accelerate",
    "compile",
    "detect_mtcnn",
    "detect_retinaface",
    "get_num_threads",
    "is_available",
    "set_num_threads",
]

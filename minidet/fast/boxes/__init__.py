"""Fast twins of what is done with boxes: the same indices and the same numbers as the readable functions."""

from minidet.fast.boxes.decode import Candidates, decode_candidates
from minidet.fast.boxes.matching import match_anchors
from minidet.fast.boxes.nms import inclusive_nms, nms

__all__ = ["Candidates", "decode_candidates", "inclusive_nms", "match_anchors", "nms"]

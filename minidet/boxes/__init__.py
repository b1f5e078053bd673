"""Boxes: ``x1 y1 x2 y2`` in pixels, continuous, so that a box is x2 - x1 wide."""

from minidet.boxes.anchors import PAPER_ANCHORS, REFERENCE_ANCHORS, AnchorSettings, generate_anchors
from minidet.boxes.coding import decode_boxes, decode_landmarks, encode_boxes, encode_landmarks
from minidet.boxes.distances import (
    centre_ness,
    decode_distances,
    decode_points,
    encode_distances,
    encode_points,
)
from minidet.boxes.format import centre_to_corners, corners_to_centre, xywh_to_xyxy, xyxy_to_xywh
from minidet.boxes.iou import iou
from minidet.boxes.locations import Locations, LocationSettings, assign_locations
from minidet.boxes.matching import (
    CASCADE_THRESHOLDS,
    PAPER_THRESHOLDS,
    REFERENCE_THRESHOLDS,
    Match,
    MatchThresholds,
    match_anchors,
)
from minidet.boxes.mesh_coding import decode_vertices, encode_vertices
from minidet.boxes.mirror import mirror_boxes, mirror_landmarks
from minidet.boxes.nms import nms
from minidet.boxes.soft_nms import soft_nms
from minidet.boxes.voting import Voted, box_voting

__all__ = [
    "CASCADE_THRESHOLDS",
    "PAPER_ANCHORS",
    "PAPER_THRESHOLDS",
    "REFERENCE_ANCHORS",
    "REFERENCE_THRESHOLDS",
    "AnchorSettings",
    "LocationSettings",
    "Locations",
    "Match",
    "MatchThresholds",
    "Voted",
    "assign_locations",
    "box_voting",
    "centre_ness",
    "centre_to_corners",
    "corners_to_centre",
    "decode_boxes",
    "decode_distances",
    "decode_landmarks",
    "decode_points",
    "decode_vertices",
    "encode_boxes",
    "encode_distances",
    "encode_landmarks",
    "encode_points",
    "encode_vertices",
    "generate_anchors",
    "iou",
    "match_anchors",
    "mirror_boxes",
    "mirror_landmarks",
    "nms",
    "soft_nms",
    "xywh_to_xyxy",
    "xyxy_to_xywh",
]

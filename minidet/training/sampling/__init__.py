"""Training crops for MTCNN's three networks: which windows, which labels, how they are stored and fed.

Where to read on::

    samples       what a sample is
    settings      how many of which kind a photograph gives
    make          all samples of one photograph: windows (squares to look at), classify (what they are
                  called), labels (what the network should say), cut (the pixels), landmarks and turn (faces
                  with points, every second one turned); picture: how they look
    proposals     the squares that R-Net and O-Net see: what the stages before let through
    build         the samples of a data set, in parallel, resumable; store: the files they lie in
    batches       minibatches in a fixed mixture, mirrored and in other colours on every look: mirror
    stage_recall  which faces a stage lets through, and when that is too few
"""

from minidet.training.photometric import PhotometricSettings, distort_colours
from minidet.training.sampling.batches import RATIO, MTCNNBatches
from minidet.training.sampling.build import build_samples
from minidet.training.sampling.labels import decode_labels, decode_points, encode_labels, encode_points
from minidet.training.sampling.make import make_samples
from minidet.training.sampling.mirror import mirror_samples
from minidet.training.sampling.picture import draw_samples
from minidet.training.sampling.proposals import ProposalSettings, Proposer, pnet_proposer, rnet_proposer
from minidet.training.sampling.samples import INPUT_SIDES, Samples
from minidet.training.sampling.settings import SampleSettings
from minidet.training.sampling.stage_recall import StageRecall, StageTooWeakError, check_stage, stage_recall
from minidet.training.sampling.store import SampleStore

__all__ = [
    "INPUT_SIDES",
    "RATIO",
    "MTCNNBatches",
    "PhotometricSettings",
    "ProposalSettings",
    "Proposer",
    "SampleSettings",
    "SampleStore",
    "Samples",
    "StageRecall",
    "StageTooWeakError",
    "build_samples",
    "check_stage",
    "decode_labels",
    "decode_points",
    "distort_colours",
    "draw_samples",
    "encode_labels",
    "encode_points",
    "make_samples",
    "mirror_samples",
    "pnet_proposer",
    "rnet_proposer",
    "stage_recall",
]

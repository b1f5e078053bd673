"""A training step from end to end, on the portrait: do the networks learn what they are told?"""

import numpy as np

import minidet
from minidet.boxes import generate_anchors, iou
from minidet.detectors.retinaface import RetinaFaceSettings, detect_retinaface
from minidet.image.preprocess import mtcnn_input, retinaface_input
from minidet.image.resize import resize_area
from minidet.models.mtcnn import PNet
from minidet.models.retinaface import RetinaFaceNet
from minidet.nn import freeze_batch_norms, initialise
from minidet.ops import softmax_forward
from minidet.training.objectives import (
    ALPHA_PNET,
    REFERENCE,
    MTCNNTargets,
    SampleType,
    mtcnn_objective,
    retinaface_objective,
    retinaface_targets,
)
from minidet.training.optim import SGD, Adam
from minidet.weights import load_weights


def test_retinaface_unlearns_where_the_face_is(small_portrait):
    """Told twenty times that the face is 8 pixels to the lower right, it finds it there, with its points."""
    (found,) = minidet.RetinaFace().detect(small_portrait)
    box, landmarks = found.box + np.float32(8), found.landmarks + np.float32(8)

    network = RetinaFaceNet().train()
    network.load_state_dict(load_weights("retinaface_mobilenet025", architecture="retinaface_mobilenet025"))
    freeze_batch_norms(network)
    optimizer = Adam(network.parameters(), lr=1e-3)
    anchors = generate_anchors(*small_portrait.shape[:2])
    targets = retinaface_targets(
        anchors, [box[None]], [landmarks[None]], [np.array([True])], REFERENCE.thresholds
    )
    x = retinaface_input(small_portrait)
    values = []
    for _ in range(20):
        objective = retinaface_objective(*network.forward(x), targets, settings=REFERENCE)
        values.append(objective.value)
        optimizer.zero_grad()
        network.backward(*objective.gradients)
        optimizer.step()
    assert values[-1] < values[0] / 10

    (moved,) = detect_retinaface(small_portrait, network.eval().predict, RetinaFaceSettings())
    assert iou(moved.box[None], box[None]).item() > 0.85 > iou(found.box[None], box[None]).item()
    assert np.abs(moved.landmarks - landmarks).max() < 4


def test_pnet_learns_from_random_weights_what_a_face_is(portrait):
    """On crops of the portrait, some of them around its face, it gets nearly all right after sixty steps."""
    rng = np.random.default_rng(0)
    (face,) = minidet.detect(portrait)
    side = float(max(face.box[2:] - face.box[:2]))
    on_face = face.box[:2] + rng.uniform(-0.15, 0.15, (32, 2)) * side
    anywhere = rng.uniform(0, np.array([512, 600]) - side, (96, 2))
    corners = np.concatenate([on_face, anywhere[np.abs(anywhere - face.box[:2]).max(axis=1) > 0.6 * side]])
    types = np.where(np.arange(len(corners)) < 32, SampleType.POSITIVE, SampleType.NEGATIVE)
    crops = np.stack([crop_12(portrait, corner, side) for corner in corners])
    crop_boxes = np.concatenate([corners, corners + side], axis=1)
    box_deltas = ((face.box - crop_boxes) / side).astype(np.float32)
    targets = MTCNNTargets(types, box_deltas, np.zeros((len(corners), 10), np.float32))

    network = PNet().train()
    initialise(network, rng)
    optimizer = SGD(network.parameters(), lr=0.05, momentum=0.9)
    x = mtcnn_input(crops)
    for _ in range(60):
        objective = mtcnn_objective(*network.forward(x), targets, alpha=ALPHA_PNET)
        optimizer.zero_grad()
        network.backward(*objective.gradients)
        optimizer.step()
    logits, predicted, _ = network.forward(x)
    scores = softmax_forward(logits.reshape(-1, 2))[:, 1]
    assert np.mean((scores > 0.5) == (types == SampleType.POSITIVE)) > 0.97
    assert np.abs(predicted.reshape(-1, 4)[:32] - box_deltas[:32]).mean() < 0.05


def crop_12(image, corner, side):
    x, y = np.int64(corner)
    return resize_area(image[y : y + int(side), x : x + int(side)], 12, 12)

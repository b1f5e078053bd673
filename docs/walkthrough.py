"""From a photograph to boxes in numbered steps, by both detectors, with the readable definitions.

    python docs/walkthrough.py                 # the portrait that comes with Matplotlib
    python docs/walkthrough.py photo.jpg

Run it, set a breakpoint anywhere, and look into the arrays. What it finds equals, number for number, what
``minidet.RetinaFace(backend="readable")`` and ``minidet.MTCNN(backend="readable")`` find.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import minidet
from minidet.boxes import decode_boxes, decode_landmarks, generate_anchors, nms
from minidet.datasets import bundled_portrait_path
from minidet.detectors.inclusive_nms import inclusive_nms
from minidet.detectors.mtcnn import cell_windows, inclusive_side, place_landmarks, shift, side, square
from minidet.image import (
    crop_squares,
    level_size,
    mtcnn_input,
    pyramid_scales,
    read_image,
    resize_area,
    retinaface_input,
)
from minidet.models.mtcnn import ONet, PNet, RNet
from minidet.models.retinaface import RetinaFaceNet
from minidet.ops import softmax_forward
from minidet.weights import load_weights


def main(photograph: str | Path) -> None:
    """Walk through both detectors, and compare with the library's one call."""
    image = read_image(photograph)
    show("photograph", "rows, columns, RGB", image.shape)

    print("\nRetinaFace: one look, and every anchor has an opinion")
    boxes, scores, landmarks = retinaface(image)
    report(boxes, scores, landmarks, minidet.RetinaFace(backend="readable").detect(image))

    print("\nMTCNN: three networks, each sees fewer windows and looks closer")
    boxes, scores, landmarks = mtcnn(image)
    report(boxes, scores, landmarks, minidet.MTCNN(backend="readable").detect(image))


def retinaface(image):
    """Return boxes (K, 4), scores (K,) and landmarks (K, 5, 2), best score first."""
    # 1. The network with its weights. `eval` lets batch norm use the statistics it has learnt.
    network = RetinaFaceNet()
    network.load_state_dict(load_weights("retinaface_mobilenet025", architecture="retinaface_mobilenet025"))
    network.eval()

    # 2. Pixels to a tensor: blue first, the mean taken away, one image in a batch.
    x = retinaface_input(image)
    show("2 input", "N, C, H, W", x.shape)

    # 3. The backbone: three maps, each pixel worth 8, 16 and 32 pixels of the photograph.
    c3, c4, c5 = network.backbone.forward(x)
    show("3 backbone", "strides 8, 16, 32", c3.shape, c4.shape, c5.shape)

    # 4. The feature pyramid: what the coarse maps have understood is handed down to the fine ones.
    p3, p4, p5 = network.fpn.forward(c3, c4, c5)
    show("4 pyramid", "64 channels each", p3.shape, p4.shape, p5.shape)

    # 5. The context modules: each pixel looks around.
    maps = [network.context3.forward(p3), network.context4.forward(p4), network.context5.forward(p5)]

    # 6. The heads: for each anchor a shift, two logits, five points.
    heads = [network.heads3, network.heads4, network.heads5]
    outputs = [head.forward(level) for head, level in zip(heads, maps, strict=True)]
    box_deltas, logits, landmark_deltas = (
        np.concatenate(parts, axis=1) for parts in zip(*outputs, strict=True)
    )
    show("6 heads", "per anchor", box_deltas.shape, logits.shape, landmark_deltas.shape)

    # 7. Logits to scores: "no face" and "face" share one.
    face_scores = softmax_forward(logits, axis=2)[0, :, 1]
    show("7 scores", f"{(face_scores > 0.5).sum()} above 0.5", face_scores.shape)

    # 8. The anchors, in the order of the outputs.
    anchors = generate_anchors(*image.shape[:2])
    show("8 anchors", "x1 y1 x2 y2", anchors.shape)

    # 9. Only those that score high enough, best first.
    candidates = np.flatnonzero(face_scores > 0.5)
    candidates = candidates[np.argsort(-face_scores[candidates], kind="stable")]
    scores = face_scores[candidates]

    # 10. Shifted anchors are boxes.
    boxes = decode_boxes(box_deltas[0, candidates], anchors[candidates])
    landmarks = decode_landmarks(landmark_deltas[0, candidates], anchors[candidates])
    show("10 candidates", "boxes, landmarks", boxes.shape, landmarks.shape)

    # 11. One box per face: whoever overlaps a better one by more than 0.4 is dropped.
    kept = inclusive_nms(boxes, scores, 0.4)
    show("11 faces", "after NMS", boxes[kept].shape)
    return boxes[kept], scores[kept], landmarks[kept]


def mtcnn(image):
    """Return boxes (K, 4), scores (K,) and landmarks (K, 5, 2), best score first."""
    H, W = image.shape[:2]

    # 1. The networks with their weights.
    weights = load_weights("mtcnn", architecture="mtcnn")
    pnet, rnet, onet = PNet(), RNet(), ONet()
    for network, prefix in ((pnet, "pnet."), (rnet, "rnet."), (onet, "onet.")):
        state = {
            name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)
        }
        network.load_state_dict(state)
        network.eval()

    # 2. The pyramid: P-Net knows faces of 12 pixels only, so the photograph is made smaller again and again.
    scales = pyramid_scales(H, W, min_face_size=20, pyramid_factor=0.709)
    levels = [resize_area(image, *level_size(H, W, scale)) for scale in scales]
    show("2 pyramid", f"{len(levels)} levels", levels[0].shape, levels[-1].shape)

    # 3. P-Net on each level: a score and a shift for every window of 12 x 12. Keep the good ones, thin out.
    found = []
    for scale, level in zip(scales, levels, strict=True):
        level_scores, level_deltas = pnet.predict(mtcnn_input(level[None]))
        rows, columns = np.nonzero(level_scores[0, 1] >= 0.6)
        windows = cell_windows(rows, columns, scale)
        window_scores = level_scores[0, 1, rows, columns]
        kept = nms(windows, window_scores, 0.5)
        found.append((windows[kept], window_scores[kept], level_deltas[0][:, rows, columns].T[kept]))
    boxes, scores, deltas = (np.concatenate(parts) for parts in zip(*found, strict=True))
    show("3 P-Net", "windows, scores", boxes.shape, scores.shape)

    # 4. Thin out across the levels, move each window as P-Net says, make it square.
    kept = nms(boxes, scores, 0.7)
    boxes = square(shift(boxes[kept], deltas[kept], side(boxes[kept])))
    show("4 proposals", "x1 y1 x2 y2", boxes.shape)

    # 5. R-Net looks at each proposal, cut out and resized to 24 x 24.
    crops, with_pixels = crop_squares(image, boxes, 24, border="clip")
    refined_scores, deltas = rnet.predict(mtcnn_input(crops))
    show("5 R-Net", "crops, scores", crops.shape, refined_scores.shape)

    # 6. Keep what it believes in, thin out, move, make square.
    passed = np.flatnonzero(refined_scores[:, 1] > 0.7)
    boxes, scores, deltas = boxes[with_pixels][passed], refined_scores[passed, 1], deltas[passed]
    kept = nms(boxes, scores, 0.7)
    boxes = square(shift(boxes[kept], deltas[kept], inclusive_side(boxes[kept])))
    show("6 refined", "x1 y1 x2 y2", boxes.shape)

    # 7. O-Net looks at what is left, at 48 x 48, and finds the landmarks too.
    crops, with_pixels = crop_squares(image, boxes, 48, border="clip")
    output_scores, deltas, landmark_deltas = onet.predict(mtcnn_input(crops))
    show("7 O-Net", "crops, landmarks", crops.shape, landmark_deltas.shape)

    # 8. Keep what it believes in, place the landmarks, move the boxes, drop those within another.
    passed = np.flatnonzero(output_scores[:, 1] > 0.7)
    boxes, scores, deltas = boxes[with_pixels][passed], output_scores[passed, 1], deltas[passed]
    landmarks = place_landmarks(boxes, landmark_deltas[passed])
    boxes = shift(boxes, deltas, inclusive_side(boxes))
    kept = inclusive_nms(boxes, scores, 0.7, overlap="min")
    show("8 faces", "after NMS", boxes[kept].shape)
    return boxes[kept], scores[kept], landmarks[kept]


def show(step, what, *shapes):
    """Print the shapes of a step in a line."""
    print(f"  {step:<14} {what:<20} {'  '.join(map(str, shapes))}")


def report(boxes, scores, landmarks, expected):
    """Print the faces, and stop if the library's one call finds others."""
    for box, score in zip(boxes, scores, strict=True):
        print(f"  face at {' '.join(f'{side:.1f}' for side in box)}, score {score:.3f}")
    np.testing.assert_array_equal(boxes, expected.boxes)
    np.testing.assert_array_equal(scores, expected.scores)
    np.testing.assert_array_equal(landmarks, expected.landmarks)
    print("  equal to the library's one call")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else bundled_portrait_path())

"""From the maps of the heads to RetinaFace's three outputs, one row per anchor."""

from __future__ import annotations

import math

from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.layout import Map
from minidet.fast.team import Team, end_step, first_block, next_block

PIXELS_PER_BLOCK = 1024


@jit_fast
def retinaface_outputs(
    arena: Float32Array,
    heads: Map,
    first_anchor: int,
    box_deltas: Float32Array,
    scores: Float32Array,
    landmark_deltas: Float32Array,
    team: Team,
) -> None:
    """Copy the outputs of one pyramid level, with softmax over the two classes.

    Twin: the reshaping of :class:`minidet.models.retinaface.heads.Heads`, and
    :func:`minidet.ops.softmax_forward`; within 1e-6.

    A pixel of ``heads`` holds, for its two anchors, 2 x 4 numbers of the boxes, 2 x 2 logits and 2 x 10
    numbers of the landmarks. The outputs are (A, 4), (A, 2) and (A, 10).
    """
    pixels = heads.height * heads.width
    blocks = -(-pixels // PIXELS_PER_BLOCK)
    block = first_block(team)
    while block < blocks:
        first = block * PIXELS_PER_BLOCK
        for pixel in range(first, min(first + PIXELS_PER_BLOCK, pixels)):
            row = pixel // heads.width
            at = heads.at + (pixel + row) * heads.stride  # a pixel more per row above
            for a in range(2):
                anchor = first_anchor + 2 * pixel + a
                for i in range(4):
                    box_deltas[anchor, i] = arena[at + 4 * a + i]
                for i in range(10):
                    landmark_deltas[anchor, i] = arena[at + 12 + 10 * a + i]
                other, face = arena[at + 8 + 2 * a], arena[at + 9 + 2 * a]
                # The softmax of two classes depends on their difference; neither term can overflow this way.
                smaller = math.exp(-abs(face - other))
                larger = 1 / (1 + smaller)
                smaller *= larger
                scores[anchor, 0] = smaller if face > other else larger
                scores[anchor, 1] = larger if face > other else smaller
        block = next_block(team)
    end_step(team, blocks)

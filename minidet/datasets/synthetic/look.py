"""How somebody looks: colours, hair, and what they wear. Nothing here moves a point of the face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from minidet.datasets.synthetic.render import Ellipsoid

Color: TypeAlias = tuple[float, float, float]
"""Red, green, blue, 0 to 1."""
Hair: TypeAlias = Literal["bald", "short", "full", "afro", "long", "bun", "hat", "scarf"]
Covering: TypeAlias = Literal["none", "glasses", "sunglasses", "mask"]

HAIRS: dict[Hair, float] = {
    "bald": 0.1, "short": 0.24, "full": 0.16, "afro": 0.08,
    "long": 0.2, "bun": 0.06, "hat": 0.1, "scarf": 0.06,
}  # fmt: skip
COVERINGS: dict[Covering, float] = {"none": 0.72, "glasses": 0.16, "sunglasses": 0.06, "mask": 0.06}
"""How often each is drawn."""

SKIN: tuple[Color, ...] = (
    (0.98, 0.84, 0.76), (0.93, 0.76, 0.66), (0.87, 0.67, 0.54), (0.76, 0.55, 0.41),
    (0.62, 0.42, 0.30), (0.47, 0.31, 0.22), (0.33, 0.21, 0.15),
)  # fmt: skip
"""From light to dark; a skin is a mixture of two neighbours."""
HAIR: tuple[Color, ...] = (
    (0.08, 0.07, 0.07), (0.16, 0.11, 0.08), (0.30, 0.19, 0.12), (0.47, 0.31, 0.18),
    (0.78, 0.62, 0.38), (0.60, 0.27, 0.12), (0.62, 0.62, 0.62), (0.88, 0.87, 0.85),
)  # fmt: skip
"""Black, three browns, blond, red, grey, white."""
IRIS: tuple[Color, ...] = ((0.25, 0.15, 0.08), (0.40, 0.26, 0.12), (0.30, 0.42, 0.25), (0.30, 0.45, 0.62))


@dataclass(frozen=True)
class Look:
    """Colours, hair and clothes of one person.

    Attributes
    ----------
    skin, hair_color, brow, lips, iris, clothes, cloth : Color
        ``cloth`` is that of hat, scarf or mask.
    hair : Hair
    covering : Covering
    fringe : float
        How far hair hangs down the forehead, in units of the head; 0 is none.
    beard, moustache : float
        How dense, 0 to 1.
    mouth_open : float
        0 is closed, 1 wide open.
    smile : float
        Which way the mouth bends, -1 down to 1 up.
    brow_angle : float
        Degrees; positive is sad, negative grim.
    gaze : float
        Where the eyes look, -1 left to 1 right.
    lids : float
        How far the eyes are open, 0.4 to 1.
    blush, freckles : float
        0 to 1.
    seed : int
        Of the details: pores, strands.
    """

    skin: Color
    hair_color: Color
    brow: Color
    lips: Color
    iris: Color
    clothes: Color
    cloth: Color
    hair: Hair
    covering: Covering
    fringe: float
    beard: float
    moustache: float
    mouth_open: float
    smile: float
    brow_angle: float
    gaze: float
    lids: float
    blush: float
    freckles: float
    seed: int


def draw_look(rng: np.random.Generator) -> Look:
    """Draw somebody's look."""
    tone = rng.uniform(0, len(SKIN) - 1)
    skin = mix(SKIN[int(tone)], SKIN[int(tone) + 1], tone % 1)
    # Dark skin seldom comes with fair hair; mostly black and brown are drawn for it.
    hair_color = jitter(rng, HAIR[int(rng.integers(len(HAIR)) if tone < 3 else rng.integers(3))], 0.03)
    hair: Hair = rng.choice(list(HAIRS), p=list(HAIRS.values()))
    covering: Covering = rng.choice(list(COVERINGS), p=list(COVERINGS.values()))
    bearded = hair not in ("long", "bun", "scarf") and rng.random() < 0.3
    made_up = not bearded and rng.random() < 0.3
    red = mix(skin, (0.72, 0.22, 0.24), rng.uniform(0.3, 0.5) + 0.35 * made_up)
    return Look(
        skin=jitter(rng, skin, 0.02),
        hair_color=hair_color,
        brow=mix(hair_color, (0.1, 0.08, 0.07), 0.5),
        lips=red,
        iris=jitter(rng, IRIS[int(rng.integers(len(IRIS)) if tone < 3 else rng.integers(2))], 0.03),
        clothes=any_color(rng),
        cloth=any_color(rng),
        hair=hair,
        covering=covering,
        fringe=rng.uniform(0.15, 0.4) if hair not in ("bald", "hat", "scarf") and rng.random() < 0.4 else 0.0,
        beard=rng.uniform(0.3, 0.9) if bearded else 0.0,
        moustache=rng.uniform(0.3, 0.95) if bearded and rng.random() < 0.7 else 0.0,
        mouth_open=max(0.0, rng.uniform(-1, 1)),
        smile=rng.uniform(-0.4, 1),
        brow_angle=rng.uniform(-8, 10),
        gaze=rng.uniform(-1, 1),
        lids=rng.uniform(0.55, 1.0),
        blush=rng.uniform(0, 0.5),
        freckles=max(0.0, rng.uniform(-2, 1)),
        seed=int(rng.integers(2**31)),
    )


def head_solids(look: Look) -> list[Ellipsoid]:
    """Return what a head has besides the face: skull, ears, neck, hair or hat."""
    skin, hair, cloth = look.skin, look.hair_color, look.cloth
    solids = [
        Ellipsoid((0, -0.3, 0.2), (0.74, 1.0, 0.9), skin),
        Ellipsoid((-0.76, -0.02, 0.12), (0.1, 0.2, 0.13), skin),
        Ellipsoid((0.76, -0.02, 0.12), (0.1, 0.2, 0.13), skin),
        Ellipsoid((0, 1.0, 0.2), (0.42, 0.75, 0.42), mix(skin, (0, 0, 0), 0.2)),  # neck, in the chin's shadow
    ]
    cap = Ellipsoid((0, -0.45, 0.27), (0.82, 0.93, 0.98), hair, 0.08)
    match look.hair:
        case "bald":
            pass
        case "short":
            solids.append(cap)
        case "full":
            solids.append(Ellipsoid((0, -0.5, 0.3), (0.93, 1.03, 1.02), hair, 0.1))
        case "afro":
            solids.append(Ellipsoid((0, -0.6, 0.5), (1.15, 1.1, 1.1), hair, 0.12))
        case "long":
            solids += [cap, Ellipsoid((0, 0.35, 0.45), (0.92, 1.5, 0.62), hair, 0.1)]
        case "bun":
            solids += [cap, Ellipsoid((0, -1.45, 0.35), (0.34, 0.34, 0.34), hair, 0.1)]
        case "hat":
            solids += [
                Ellipsoid((0, -0.85, 0.2), (0.84, 0.7, 0.92), cloth),
                Ellipsoid((0, -0.85, 0.0), (0.95, 0.08, 1.15), mix(cloth, (0, 0, 0), 0.25)),
            ]
        case "scarf":
            solids.append(Ellipsoid((0, 0.0, 0.5), (0.98, 1.4, 1.12), cloth, 0.05))
    return solids


def mix(a: Color, b: Color, share: float) -> Color:
    """Mix two colours; ``share`` is that of the second.

    Examples
    --------
    >>> mix((0, 0, 0), (1.0, 0.5, 0), 0.5)
    (0.5, 0.25, 0.0)
    """
    red, green, blue = (p + share * (q - p) for p, q in zip(a, b, strict=True))
    return red, green, blue


def jitter(rng: np.random.Generator, color: Color, spread: float) -> Color:
    """Change each channel a little; it stays within 0 and 1."""
    red, green, blue = np.clip(color + rng.normal(0, spread, 3), 0, 1).tolist()
    return red, green, blue


def any_color(rng: np.random.Generator) -> Color:
    """Draw any colour."""
    red, green, blue = rng.random(3).tolist()
    return red, green, blue

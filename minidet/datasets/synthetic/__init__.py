"""Faces that the package draws itself, with exact boxes, landmarks and meshes.

``settings`` says what may be chosen. Then, in the order in which a picture comes about: ``scene`` (who is
where), of ``head`` (the mesh) and ``pose``; ``picture``, of ``light``, ``background``, ``look`` (colours and
hair), ``texture`` (the drawing of a face), ``brush`` and ``render`` (solids become pixels). ``dataset`` makes
samples of it all, ``options`` reads a set's settings from one line of text.
"""

from minidet.datasets.synthetic.dataset import SyntheticAnnotation, SyntheticDataset, synthetic_dataset
from minidet.datasets.synthetic.settings import SyntheticSettings

__all__ = ["SyntheticAnnotation", "SyntheticDataset", "SyntheticSettings", "synthetic_dataset"]

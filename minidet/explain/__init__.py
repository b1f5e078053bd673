"""One photograph explained: every step of the detectors as one page that needs no network.

Reading order: ``mtcnn`` and ``retinaface`` record what a detector did, ``pictures`` turns arrays into images
that a page can hold, ``page`` puts all of it together with ``page.html``, ``page.css`` and the scripts.
``replay.js`` does in the browser what the detector does after its networks.
"""

from minidet.explain.page import explain

__all__ = ["explain"]

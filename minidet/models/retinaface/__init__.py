"""RetinaFace (Deng et al. 2019): a backbone, a feature pyramid, context modules and three heads."""

from minidet.models.retinaface.retinaface import RetinaFaceNet

__all__ = ["RetinaFaceNet"]

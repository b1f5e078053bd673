"""Readers for annotated photographs: files in, samples out."""

from minidet.datasets.dataset import Dataset, load_sample
from minidet.datasets.sample import Annotation, Sample

__all__ = ["Annotation", "Dataset", "Sample", "load_sample"]

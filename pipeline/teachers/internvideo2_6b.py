"""InternVideo2-6B fine-tuned on Kinetics-400 at 8 frames of 224 px.

Weights: a fine-tuned 6B file of the organisation ``OpenGVLab``
on the Hugging Face hub, where its authors have published one.
Download it yourself and name it in ``adapt.checkpoint``; nothing is fetched here.
"""

from pipeline.models.internvideo2 import InternVideo2Config, variant_config
from pipeline.models.preprocessing import FINETUNED

PREPROCESSING = FINETUNED


def config() -> InternVideo2Config:
    """Returns the architecture with the Kinetics-400 head."""
    return variant_config("6B", num_classes=400)

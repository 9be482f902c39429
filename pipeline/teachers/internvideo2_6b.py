"""InternVideo2-6B fine-tuned on Kinetics-400 at 8 frames of 224 px.

Weights: a fine-tuned 6B file of the organisation ``OpenGVLab``
on the Hugging Face hub, where its authors have published one.
Download it yourself and name it in ``adapt.checkpoint``; nothing is fetched here.
"""

from pipeline.teachers.shared.preprocessing import FINETUNED

PREPROCESSING = FINETUNED
ARCHITECTURE = {"variant": "6B", "num_classes": 400}

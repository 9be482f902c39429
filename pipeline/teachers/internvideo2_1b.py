"""InternVideo2-1B fine-tuned on Kinetics-400 at 8 frames of 224 px.

Weights: ``1B_ft_k710_ft_k400_f8.pth`` of ``OpenGVLab/InternVideo2-Stage1-1B-224p-K400``
on the Hugging Face hub, after a request for access.
Download it yourself and name it in ``adapt.checkpoint``; nothing is fetched here.
"""

from pipeline.teachers.shared.preprocessing import FINETUNED

PREPROCESSING = FINETUNED
ARCHITECTURE = {"variant": "1B", "num_classes": 400}

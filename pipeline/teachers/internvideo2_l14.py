"""InternVideo2-L14 fine-tuned on Kinetics-400 at 8 frames of 224 px.

Weights: ``L14/.../pytorch_model.bin`` under ``stage1/`` of ``OpenGVLab/InternVideo2_distillation_models``
on the Hugging Face hub, distilled from 1B (its head is then new).
Download it yourself and name it in ``adapt.checkpoint``; nothing is fetched here.
"""

from pipeline.teachers.shared.preprocessing import FINETUNED

PREPROCESSING = FINETUNED
ARCHITECTURE = {"variant": "L14", "num_classes": 400}

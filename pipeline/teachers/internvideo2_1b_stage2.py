"""InternVideo2-1B after stage 2 (video and text), the vision encoder at 4 frames of 224 px, squashed.

Weights: ``InternVideo2-stage2_1b-224p-f4.pt`` of ``OpenGVLab/InternVideo2-Stage2_1B-224p-f4`` on the Hugging Face hub,
after a request for access. Download it yourself and name it in ``adapt.checkpoint``; nothing is fetched here. Its
``projected`` output is the 512-d space that it shares with text.
"""

from pipeline.teachers.shared.preprocessing import STAGE2

PREPROCESSING = STAGE2
ARCHITECTURE = {"variant": "1B", "num_frames": 4, "projection": "linear", "projection_dim": 512}

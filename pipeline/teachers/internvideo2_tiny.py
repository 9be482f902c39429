"""The embedded default's teacher: an InternVideo2 small enough to pre-train on a CPU, on native-resolution fragments.

Weights: none are published; the pre-training program of the embedded data set makes them.
"""

from pipeline.teachers.shared.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(
    family="internvideo2_tiny", sampling="uniform", policy="fragments", size=112, num_frames=8, fragment_grid=4
)
ARCHITECTURE = {
    "embed_dim": 192,
    "depth": 4,
    "num_heads": 6,
    "mlp_ratio": 4.0,
    "patch_size": 7,
    "tubelet_size": 4,
    "num_frames": 8,
    "image_size": 112,
    "layerscale_init": 0.1,
    "hidden_act": "gelu_tanh",
    "pool_dim": 256,
    "pool_num_heads": 8,
}

"""A score for a video file: from a trained student or its ONNX export."""

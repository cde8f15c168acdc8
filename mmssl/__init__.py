"""Self-supervised learning for video, audio, images and text: from a manifest to encoders, search, scores and labels."""

__version__ = "0.1.0"

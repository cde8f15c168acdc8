"""Reading video, audio and images; the only package that imports a codec."""

"""Labels carried from labelled frames to the rest of a video."""

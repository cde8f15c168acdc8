"""Zero-shot classification: images and videos against classes that are given as words."""

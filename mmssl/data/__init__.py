"""Manifests, the formats they come in, and stores of decoded clips."""

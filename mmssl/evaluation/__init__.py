"""Protocols that turn an encoder and a manifest into report rows, one file each."""

"""Mathematics: tensors in, tensors out, no state and no files."""

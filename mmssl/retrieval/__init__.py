"""Tables of embeddings and the index over them; the only package that imports FAISS."""

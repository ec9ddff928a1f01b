"""Few-shot evaluation: every episode answered from embeddings, every figure with its interval."""

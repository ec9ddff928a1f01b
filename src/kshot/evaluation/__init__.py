"""Few-shot evaluation: predicts every episode from embeddings and reports every figure with its interval."""

"""Heads: how the queries of an episode are answered from embedded images.

A head takes support (E, S, D), labels (S,) int64 in [0, n_way) of every episode's support, each class present, shots of
any number, query (E, Q, D) and n_way; it returns scores (E, Q, n_way), the highest being the answer. Their softmax over
the classes is not calibrated: it is no probability. Inductive heads answer each query by itself; transductive ones see
all queries of an episode at once, which is another task, and every figure of theirs says so.
"""

OWN = "method"  # no head of these: as the method that was trained answers
SIMPLE_SHOT = "simple_shot"  # inductive; needs the mean of the training images besides
INDUCTIVE = ("prototype", "nearest_neighbour", "attention", "cosine_classifier", "logistic_regression")
TRANSDUCTIVE = ("laplacian_shot", "pt_map")

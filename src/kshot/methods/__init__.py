"""Few-shot methods, one a file: how an episode is learned from, and how it is answered.

A method is an nn.Module over an Embedding with the same four things:

    batch_norm   whose statistics its figures take: "eval" those of training, "support" those of the episode's support,
                 "transductive" those of all queries of the episode
    embed(pixels)                                  (N, C, S, S) to (N, D): what is computed once an image
    scores(support, labels, query, n_way)          logits of embedded episodes, shapes as in `kshot.classifiers`
    loss(pixels, labels, generator)                of a batch of P classes x K images, the images of one class together
"""

"""Few-shot methods, one a file: each defines how to learn from an episode and how to predict its queries.

A method is an nn.Module over an Embedding with the same four members:

    batch_norm   the batch statistics it uses: "eval" of training, "support" of the episode's support, "transductive"
                 of all queries of the episode
    embed(pixels)                                  (N, C, S, S) to (N, D): computed once for each image
    scores(support, labels, query, n_way)          logits of embedded episodes, shapes as in `kshot.classifiers`
    loss(pixels, labels, generator)                of a batch of P classes x K images, the images of one class together
"""

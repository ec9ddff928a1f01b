"""Several processes that train one model: each embeds some rows of a batch, with the result of a single process."""

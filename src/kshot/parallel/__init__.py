"""Several processes that train one model: each embeds some rows of a batch, and the result is that of one."""

"""Settings that fit the images of a project: a look at the data, the rules, the weights, and the proposal."""

"""Settings that fit the images of a project: profile of the data, rules, pretrained weights, and the proposal."""

"""Mining: which pairs, triplets and classes are worth training on."""

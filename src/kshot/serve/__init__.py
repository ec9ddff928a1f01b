"""The gallery service: stores taught classes and recognises images among them."""

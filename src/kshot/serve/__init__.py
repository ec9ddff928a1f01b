"""The gallery service: classes taught once, and asked many times."""

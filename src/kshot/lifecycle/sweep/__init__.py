"""Many retrainings of one commit and one data version, compared on the validation episodes."""

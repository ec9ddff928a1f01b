"""The history of promotions: its events, their storage, and the aliases that follow from them."""

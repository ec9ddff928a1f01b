"""The history of promotions: events, where they are stored, and what follows from them."""

"""New images beside the data of the champion: the verdict, its text and its page."""

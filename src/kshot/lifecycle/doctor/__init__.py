"""`kshot doctor`: checks for problems that occur on people's machines, each with its remedy."""

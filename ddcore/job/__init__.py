"""The whole job: which stages it has, in which order, what they cost, and how one of them is run."""

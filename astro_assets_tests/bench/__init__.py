"""How fast the reduction is beside what people use today, at the same work, in one run."""

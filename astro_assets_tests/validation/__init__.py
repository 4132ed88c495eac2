"""The reduction by measure: against the simulated truth, other tools and real frames."""

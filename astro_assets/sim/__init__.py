"""The simulated observatory, for the demo and the tests. Shares no code with the reduction."""

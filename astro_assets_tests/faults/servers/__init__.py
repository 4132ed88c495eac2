"""Real servers as the tests start them: one module for each program."""

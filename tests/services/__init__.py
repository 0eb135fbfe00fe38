"""Real parts for tests: each starts on a free port of loopback and is stopped by its own pid."""

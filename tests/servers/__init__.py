"""Private mail and database servers on free loopback ports, for tests that want the real thing."""

"""What the suites stand on: real PostgreSQL clusters (pg), a running Sluice (sluice), small helpers (util)."""

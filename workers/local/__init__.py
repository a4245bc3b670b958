"""The embedded stack: Temporal, Valkey, the stand-in provider and a worker, on one machine. Start at `stack`."""

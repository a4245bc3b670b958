"""What stands between a step and a provider, shared by all workers through Redis: paid replies, limits, circuits."""

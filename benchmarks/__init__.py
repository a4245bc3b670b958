"""How fast Engross is, against the floor: `python -m benchmarks`, or `make bench`. Scenarios are in `scenarios`."""

"""The console: one server for the pages that people decide on and for the REST API, and its security."""

"""What people and programs start runs with: the client, and the `engross` command over it."""

"""Plain starter scripts: copy one and go on from there."""

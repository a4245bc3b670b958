"""The codec server: Temporal's Web UI asks it to show encrypted payloads, and it shows people what they may see."""

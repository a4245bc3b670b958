"""The stand-in provider: a local HTTP process that speaks two model protocols and answers by rules, not by a model."""

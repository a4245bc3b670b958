"""Model calls: prompts, providers, what replies mean, what failures mean, what they cost."""

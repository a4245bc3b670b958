"""The pages of the console, each a module with its routes; `sections.SECTIONS` has them."""

"""The procedural world behind every `@mini` number: seeded scenes, rendered and written in each official layout."""

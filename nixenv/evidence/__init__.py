"""Second looks, for people: at the closure's contents and references, and at the machine."""

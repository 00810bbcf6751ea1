"""The Flox environment: its manifest, its activation, its packages."""

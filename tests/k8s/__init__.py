"""The Kubernetes files."""

"""What the on-activate hook runs, and the activation that it keeps."""

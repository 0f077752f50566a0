"""Restores the catalogue: recordings from the bucket, everything else from a backup (P8)."""

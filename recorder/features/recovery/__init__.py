"""Making the catalogue again: recordings from the bucket, everything else from a backup (P8)."""

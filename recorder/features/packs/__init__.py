"""Packs: a recording as one ZIP file, which whoever doubts it can check without Accord."""

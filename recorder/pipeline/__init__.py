"""The pipeline from the spool to the catalogue.

Nothing is imported here, because the encoder processes (``python -m recorder.pipeline.encoders``) need little
of it.
"""

"""Takes finished calls from the spool to the catalogue.

Nothing is imported here: the encoders are processes (``python -m recorder.pipeline.encoders``) that need none
of it.
"""

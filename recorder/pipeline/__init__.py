"""The process that takes finished calls from the spool to the catalogue, and keeps house.

Nothing is imported here: the encoders are processes of their own (``python -m recorder.pipeline.encoders``)
and need none of it.
"""

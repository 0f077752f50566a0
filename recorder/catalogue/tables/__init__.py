"""The tables of the catalogue; :mod:`recorder.catalogue.tables.registry` lists them.

Only ``catalogue``, ``auditlog``, ``lifecycle`` and the features use these models; everything else calls
functions that take a tenant.
"""

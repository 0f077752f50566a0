from tests.unit.catalogue.conftest import announce, stored, tenants, unrecorded

__all__ = ["announce", "stored", "tenants", "unrecorded"]

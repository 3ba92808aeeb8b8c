from tests.identity.conftest import logs

__all__ = ["logs"]

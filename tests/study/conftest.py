"""What the tests of studies share."""

from tests.sweep.conftest import _blank_figures  # noqa: F401

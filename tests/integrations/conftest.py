"""Fixtures of the tests of third-party tools: `make test-integrations`."""

import inspect
from importlib import metadata

import pytest
from side_by_side import FIRST, LATE, STOCK, Failed, run


@pytest.fixture(params=[FIRST, LATE])
def recorded(request):
    """Runs a job with stock Keras and with fitwatch, and compares what the tool recorded.

    Gives what that was. Skips where the tool is not there, or fails with stock Keras itself.
    """

    def compare(job):
        module = inspect.getmodule(job)
        missing = [name for name in module.PACKAGES if not _version(name)]
        if missing:
            pytest.skip(f"{', '.join(missing)}: not installed")
        stock = run(module.__name__, job.__name__, STOCK)
        tool = ", ".join(f"{name} {_version(name)}" for name in module.PACKAGES)
        if isinstance(stock, Failed):
            end = pytest.skip if tool else pytest.fail
            end(f"{tool or 'the run'} fails with stock Keras {_version('keras')}: {stock}")
        if not stock:
            pytest.skip(f"{tool} records nothing with stock Keras on this backend")
        ours = run(module.__name__, job.__name__, request.param)
        assert not isinstance(ours, Failed), ours[-8000:]
        assert ours == stock
        return stock

    return compare


def _version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

"""What every test shares: real data where it is there, and one thread so that results do not depend on the machine."""

import os
from pathlib import Path

import pytest
import torch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("MMSSL_DATA"):
        return
    for item in items:
        if item.get_closest_marker("data"):
            item.add_marker(pytest.mark.skip(reason="MMSSL_DATA is not set"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets."""
    return Path(os.environ["MMSSL_DATA"]).resolve()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)

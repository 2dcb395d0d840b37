"""Fixtures of the tests that run the workflow."""

import pytest

from workflow import TINY, Workflow


@pytest.fixture(scope="session")
def tiny(root, tmp_path_factory):
    """The tiny demo, run to the report once."""
    workflow = Workflow(root, tmp_path_factory.mktemp("tiny"))
    workflow.output = workflow.must()
    return workflow


@pytest.fixture
def new_workflow(root, tmp_path):
    """Return a function that makes a workflow in an empty folder."""
    return lambda *configs: Workflow(root, tmp_path / "work", configs or TINY)
